// What carries the sound: keys from DTLS, one port for all browsers, reports both ways, and whom the gateway believes.

import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'

import { Browser } from '../lib/browser.mjs'
import { Gateway } from '../lib/gateway.mjs'
import { assertHeard } from '../lib/hearing.mjs'
import { freeUdpPort } from '../lib/ports.mjs'
import { RtpPeer, SSRC } from '../lib/rtp.mjs'
import { Sipp } from '../lib/sipp.mjs'

const CUSTOMER = '+4930123456'
const OURS = '+4930555000'

for (const library of ['sipjs', 'jssip']) {
  describe(`media with ${library}`, () => {
    let browser, gateway, phone, port, agent, media
    const running = []

    before(async () => {
      browser = await Browser.start()
      gateway = await Gateway.start({ origins: [browser.origin] })
      port = await freeUdpPort()
      const trunk = await gateway.trunk(port)
      agent = await gateway.agent('100')
      await gateway.api('POST', '/numbers', {
        e164: OURS, trunk_id: trunk.id, target: { type: 'extension', id: agent.extensionId }
      })
      phone = await browser.phone(library, gateway, agent)
      await phone.event('registered')
    })

    after(async () => {
      await browser?.stop()
      await gateway?.stop()
    })

    afterEach(async () => {
      for (const peer of running.splice(0)) await peer.stop()
      await gateway.hangUp()
    })

    async function peer(address) {
      const opened = await RtpPeer.open(address)
      running.push(opened)
      return opened
    }

    // A call to the trunk, whose SDP names the port of `media` unless another is given; its media does not speak yet.
    async function call(rtpPort) {
      media = await peer()
      const sipp = await Sipp.start('answer', { port, keys: { rtp_port: rtpPort ?? media.port } })
      running.push(sipp)
      await phone.run('call', CUSTOMER)
      await phone.event('established')
      return sipp
    }

    test('calls are keyed for AES-GCM and share one port', async () => {
      const other = await browser.phone(library, gateway, await gateway.agent('101'))
      await other.event('registered')
      const ports = []
      for (const one of [phone, other]) {
        await one.run('call', '9196')
        await one.event('established')
        await one.run('listen', 440, 1.5)
        assertHeard(await one.run('listen', 440, 1), 'echo')
        const [transport] = await one.run('reports', 'transport')
        assert.equal(transport.srtpCipher, 'SRTP_AEAD_AES_128_GCM')
        assert.equal(transport.dtlsState, 'connected')
        const candidates = await one.run('reports', 'remote-candidate')
        assert.deepEqual(candidates.map(({ protocol, candidateType, address }) => [protocol, candidateType, address]), [['udp', 'host', '127.0.0.1']])
        ports.push(candidates[0].port)
      }
      assert.equal(ports[0], ports[1])
      for (const one of [phone, other]) {
        await one.run('hangup')
        await one.event('ended')
      }
      await other.close()
    })

    test('both sides get reports of what they sent and what was sent to them', async () => {
      const sipp = await call()
      media.play(1000)
      await phone.run('listen', 1000, 1.5)
      const report = await media.report(({ about }) => about)
      assert.equal(report.type, 200, 'who sends, reports as a sender')
      assert.equal(report.ssrc, media.received[0].ssrc)
      assert.ok(report.sent > 0)
      assert.deepEqual(report.about, { ssrc: SSRC, lost: 0 })
      const [[inbound], [outbound]] = await untilReported()
      assert.ok(inbound.packetsSent > 0, JSON.stringify(inbound))
      assert.ok(outbound.fractionLost === 0 && outbound.roundTripTime < 1, JSON.stringify(outbound))
      await phone.run('hangup')
      await sipp.verdict()
    })

    // What the gateway's reports told the browser: of the gateway's packets, and of the browser's own with a round trip.
    function untilReported() {
      return gateway.until(
        () => Promise.all([phone.run('reports', 'remote-outbound-rtp'), phone.run('reports', 'remote-inbound-rtp')]),
        ([inbound, outbound]) => inbound.length > 0 && outbound[0]?.roundTripTimeMeasurements > 0
      )
    }

    test('a trunk behind a NAT is heard and spoken to where it sends from, not where its SDP says', async () => {
      const sipp = await call(await freeUdpPort())
      media.remote = rtpAddress(sipp)
      media.play(1000)
      await phone.run('listen', 1000, 1.5)
      assertHeard(await phone.run('listen', 1000, 3), 'in the browser')
      await phone.run('hangup')
      await sipp.verdict()
      assertHeard(media.heard(440), 'at the trunk')
    })

    test('a stranger who sends to the port of a trunk is not heard, and hears nothing', async () => {
      const sipp = await call()
      const stranger = await peer('127.0.0.2')
      stranger.remote = rtpAddress(sipp)
      stranger.play(2000)
      // The stranger is there first: no packet of the trunk keeps it out.
      const first = await phone.run('listen', 2000, 1.5)
      media.play(1000)
      await phone.run('listen', 1000, 1.5)
      assertHeard(await phone.run('listen', 1000, 3), 'the trunk')
      const then = await phone.run('listen', 2000, 1)
      for (const heard of [first, then]) assert.ok(heard.level < -40, `the stranger: ${JSON.stringify(heard)}`)
      assert.deepEqual(stranger.received, [])
      await phone.run('hangup')
      await sipp.verdict()
      assertHeard(media.heard(440), 'at the trunk')
    })

    describe('a browser whose certificate is not the one its SDP names', () => {
      let earlier

      // Of calls refused for it: the record of the call before may still be on its way.
      const records = async () => {
        const { data } = await gateway.api('GET', '/cdrs?limit=100')
        return data.filter(({ explanation }) => /certificate is not the one the SDP named/.test(explanation))
      }

      before(() => phone.run('forgeFingerprint'))

      beforeEach(async () => {
        earlier = (await records()).length
      })

      async function assertRefused() {
        assert.match(await phone.event('bye'), /^bye Q\.850;cause=41;/)
        await phone.event('ended')
        const [record] = await gateway.until(records, (refused) => refused.length > earlier)
        assert.equal(record.result, 'failed')
        await gateway.noCalls()
      }

      test('is hung up on when it calls, and nothing it says reaches the trunk', async () => {
        const sipp = await call()
        await assertRefused()
        await sipp.verdict()
        assert.deepEqual(media.received, [])
      })

      test('is hung up on when it answers, and so is the caller', async () => {
        media = await peer()
        const caller = await Sipp.start('call', {
          keys: { rtp_port: media.port, caller: CUSTOMER }, call: { number: OURS, port: gateway.sipPort }
        })
        running.push(caller)
        await phone.event('incoming')
        await phone.run('answer')
        await assertRefused()
        await caller.verdict()
        assert.deepEqual(media.received, [])
      })
    })
  })
}

// Where the gateway takes the media of the trunk's call: its offer says so.
function rtpAddress(sipp) {
  return { address: '127.0.0.1', port: Number(/^m=audio (\d+) /m.exec(sipp.read('messages'))[1]) }
}
