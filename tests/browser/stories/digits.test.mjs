// Keys pressed during a call: telephone-events (RFC 4733) both ways, each digit once, in order, as long as it was pressed.

import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'

import { Browser } from '../lib/browser.mjs'
import { Gateway } from '../lib/gateway.mjs'
import { freeUdpPort } from '../lib/ports.mjs'
import { RtpPeer } from '../lib/rtp.mjs'
import { Sipp } from '../lib/sipp.mjs'

const CUSTOMER = '+4930123456'
// How long a key is held, in ms.
const PRESS = 120

for (const library of ['sipjs', 'jssip']) {
  describe(`digits with ${library}`, () => {
    let browser, gateway, phone, port, media, sipp

    before(async () => {
      browser = await Browser.start()
      gateway = await Gateway.start({ origins: [browser.origin] })
      port = await freeUdpPort()
      await gateway.trunk(port)
      phone = await browser.phone(library, gateway, await gateway.agent('100'))
      await phone.event('registered')
    })

    after(async () => {
      await browser?.stop()
      await gateway?.stop()
    })

    afterEach(async () => {
      media.stop()
      await sipp.stop()
    })

    async function call() {
      media = await RtpPeer.open()
      media.play(1000)
      sipp = await Sipp.start('answer', { port, keys: { rtp_port: media.port } })
      await phone.run('call', CUSTOMER)
      await phone.event('established')
      await phone.run('listen', 1000, 1)
    }

    test('the agent presses 1 5 9 #: each arrives once, in order, as long as it was, on the clock of the trunk', async () => {
      await call()
      await phone.run('digits', '159#', PRESS)
      await phone.run('listen', 1000, 0.5)
      await phone.run('hangup')
      await sipp.verdict()
      const presses = media.digits()
      assert.equal(presses.map((press) => press.digit).join(''), '159#')
      presses.forEach(assertPress)
      // Timestamps count the time between presses at 8000 Hz.
      for (const [index, press] of presses.entries()) {
        const before = presses[index - 1] ?? press
        const [units, milliseconds] = [(press.timestamp - before.timestamp) >>> 0, press.at - before.at]
        assert.ok(Math.abs(units / 8 - milliseconds) <= 200, `${units} units in ${milliseconds} ms`)
      }
      assertOneStream(media.received)
    })

    test('keys the library says in INFO requests arrive as if they were pressed', async () => {
      await call()
      await phone.run('infoDigits', '159#', PRESS)
      await phone.run('listen', 1000, 1)
      await phone.run('hangup')
      await sipp.verdict()
      const presses = media.digits()
      assert.equal(presses.map((press) => press.digit).join(''), '159#')
      presses.forEach(assertPress)
      assertOneStream(media.received)
    })

    test('keys of the customer reach the browser as events and are heard once and in order', async () => {
      await call()
      const [heard] = await Promise.all([phone.run('listenForDigits', 1.5), media.press('73#', PRESS)])
      assert.equal(heard.map(({ digit }) => digit).join(''), '73#')
      // Chromium sounds a key on for up to 70 ms while it waits for news of it.
      for (const { digit, ms } of heard) assert.ok(ms >= PRESS - 20 && ms <= PRESS + 90, `${digit} sounded for ${ms} ms`)
      await phone.run('hangup')
      await sipp.verdict()
    })

    test('while the customer presses a key, the browser gets events and no audio', async () => {
      await call()
      const press = media.press('5', 1000)
      await phone.run('listen', 1000, 0.3)
      const first = await phone.run('received')
      const heard = await phone.run('listen', 1000, 0.4)
      const then = await phone.run('received')
      await press
      const [packets, bytes] = [then.packets - first.packets, then.bytes - first.bytes]
      assert.ok(packets >= 15, `${packets} packets`)
      assert.equal(bytes, packets * 4, 'the payload of an event has 4 bytes')
      assert.ok(heard.level < -30, `the tone of the customer's audio: ${JSON.stringify(heard)}`)
      await phone.run('hangup')
      await sipp.verdict()
    })
  })
}

// RFC 4733 2.5.1: the first packet is marked, the length grows, the end is said three times.
function assertPress({ digit, packets }) {
  const told = `${digit}: ${JSON.stringify(packets)}`
  assert.deepEqual(packets.map((packet) => packet.marker), packets.map((_, index) => index === 0), told)
  assert.ok(packets.every((packet, index) => packet.units >= (packets[index - 1]?.units ?? 0)), told)
  const ends = packets.filter((packet) => packet.end)
  assert.deepEqual(ends.map((end) => end.units), Array(3).fill(ends[0].units), told)
  assert.ok(Math.abs(ends[0].units / 8 - PRESS) <= 20, told)
}

// Audio and digits count their packets together, none missing and none twice, and share one clock.
function assertOneStream(packets) {
  const numbers = packets.map((packet) => packet.sequence)
  assert.deepEqual(numbers, numbers.map((_, index) => (numbers[0] + index) & 0xffff))
  const first = packets[0]
  const late = packets.filter((packet) => packet.marker || packet.payloadType === 0)
    .map((packet) => packet.at - first.at - ((packet.timestamp - first.timestamp) >>> 0) / 8)
  // A packet may be late, but those that are not stay on time.
  const [before, after] = [late.slice(0, late.length / 2), late.slice(late.length / 2)].map((half) => Math.min(...half))
  assert.ok(Math.abs(after - before) <= 150, `the clock goes from ${before} ms late to ${after} ms`)
}
