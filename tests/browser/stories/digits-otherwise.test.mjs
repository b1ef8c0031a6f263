// Keys told in two ways at once, and trunks that know no telephone-events or want INFO: each key arrives once, in order, in the way of the
// one who gets it.

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
  describe(`keys of every way with ${library}`, () => {
    let browser, gateway, phone, port, trunk, media, sipp

    before(async () => {
      browser = await Browser.start()
      gateway = await Gateway.start({ origins: [browser.origin] })
      port = await freeUdpPort()
      trunk = await gateway.trunk(port)
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
      await gateway.hangUp()
    })

    async function call(scenario) {
      media = await RtpPeer.open()
      media.play(1000)
      sipp = await Sipp.start(scenario, { port, keys: { rtp_port: media.port } })
      await phone.run('call', CUSTOMER)
      await phone.event('established')
      await phone.run('listen', 1000, 1)
    }

    async function hangUp() {
      await phone.run('listen', 1000, 0.5)
      await phone.run('hangup')
      return sipp.verdict()
    }

    function keys(presses) {
      return presses.map(({ digit }) => digit).join('')
    }

    test('a key told by INFO and by telephone-event at once is one', async () => {
      await call('answer')
      await Promise.all([phone.run('infoDigits', '1553', PRESS), phone.run('digits', '1553', PRESS)])
      await hangUp()
      assert.equal(keys(media.digits()), '1553')
    })

    test('a trunk without telephone-events hears the tones of each, however it was told, and nothing else meanwhile', async () => {
      for (const way of ['infoDigits', 'digits']) {
        await call('answer-without-events')
        await phone.run(way, '15*', PRESS)
        await hangUp()
        const heard = media.heardKeys()
        assert.equal(keys(heard), '15*', way)
        for (const { digit, ms } of heard) assert.ok(ms >= 80 && ms <= PRESS + 40, `${digit} sounded for ${ms} ms`)
        assert.deepEqual([...new Set(media.received.map(({ payloadType }) => payloadType))], [0], 'there is audio only')
        assertContinuous(media.received)
        if (way === 'infoDigits') media.stop()
      }
    })

    test('tones of a customer without telephone-events reach the browser as events, once and in order', async () => {
      await call('answer-without-events')
      const [heard] = await Promise.all([phone.run('listenForDigits', 1.5), media.sound('73#', PRESS)])
      assert.equal(keys(heard), '73#')
      const sound = media.sound('5', 1000)
      await phone.run('listen', 1000, 0.3)
      const first = await phone.run('received')
      await phone.run('listen', 1000, 0.4)
      const then = await phone.run('received')
      await sound
      const [packets, bytes] = [then.packets - first.packets, then.bytes - first.bytes]
      assert.ok(packets >= 15, `${packets} packets`)
      assert.equal(bytes, packets * 4, 'the payload of an event has 4 bytes: no audio comes with it')
      await hangUp()
    })

    test('a trunk that wants INFO is told by INFO, whichever way the agent does', async () => {
      await gateway.api('PATCH', `/trunks/${trunk.id}`, { dtmf: 'info' })
      try {
        await call('take-info')
        await phone.run('infoDigits', '1', PRESS)
        // A request and an event take ways of their own, and the later may come earlier.
        await sipp.saw('Signal=1')
        await phone.run('digits', '5#', PRESS)
        const messages = await hangUp()
        assert.ok(!messages.includes('telephone-event'), 'none is offered')
        assert.deepEqual(media.heardKeys(), [])
      } finally {
        await gateway.api('PATCH', `/trunks/${trunk.id}`, { dtmf: null })
      }
    })

    test('an operator dials into the call by REST', async () => {
      await call('answer')
      const [{ id }] = (await gateway.api('GET', '/calls')).data
      await gateway.api('POST', `/calls/${id}/dtmf`, { digits: '42#', duration_ms: PRESS })
      await phone.run('listen', 1000, 1)
      await hangUp()
      assert.equal(keys(media.digits()), '42#')
    })
  })
}

// Packets count without a hole, and none lasts longer than its 20 ms.
function assertContinuous(packets) {
  for (const [index, packet] of packets.entries()) {
    const before = packets[index - 1]
    if (!before) continue
    assert.equal(packet.sequence, (before.sequence + 1) & 0xffff)
    const step = (packet.timestamp - before.timestamp) >>> 0
    assert.ok(step >= 160 && step <= 800, `${step} units between two packets`)
  }
}
