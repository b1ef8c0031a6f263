// A customer phones in: all browsers of the extension ring, the first answer wins, and everyone hears the right thing.

import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'

import { Baresip } from '../lib/baresip.mjs'
import { Browser } from '../lib/browser.mjs'
import { Gateway } from '../lib/gateway.mjs'
import { assertHeard } from '../lib/hearing.mjs'

const CUSTOMER = '+4930123456'
const OURS = '+4930555000'

for (const [library, other] of [['sipjs', 'jssip'], ['jssip', 'sipjs']]) {
  describe(`calling in with ${library}`, () => {
    let browser, gateway, carrier, agent, first, second

    before(async () => {
      browser = await Browser.start()
      gateway = await Gateway.start({ origins: [browser.origin] })
      carrier = await Baresip.start({ number: CUSTOMER, frequency: 1000 })
      agent = await gateway.agent('1001')
      const trunk = await gateway.trunk(carrier.sipPort)
      await gateway.api('POST', '/numbers', {
        e164: OURS, trunk_id: trunk.id, target: { type: 'extension', id: agent.extensionId }
      })
    })

    after(async () => {
      await browser?.stop()
      await carrier?.stop()
      await gateway?.stop()
    })

    afterEach(() => gateway.hangUp())

    const dial = (number) => carrier.dial(`sip:${number}@127.0.0.1:${gateway.sipPort}`)

    test('nobody registered is 480', async () => {
      dial(OURS)
      const closed = await carrier.event('CALL_CLOSED')
      assert.match(closed.param, /480/)
    })

    test('a number that is not ours is 404', async () => {
      dial('+4930999999')
      assert.match((await carrier.event('CALL_CLOSED')).param, /404/)
    })

    test('both browsers ring, the first answer wins, and its audio is right', async () => {
      first = await browser.phone(library, gateway, agent, 440)
      second = await browser.phone(other, gateway, agent, 600)
      await first.event('registered')
      await second.event('registered')
      dial(OURS)
      const ringing = await Promise.all([first.event('incoming'), second.event('incoming')])
      assert.deepEqual(ringing, [`incoming ${CUSTOMER}`, `incoming ${CUSTOMER}`])
      await first.run('answer')
      await first.event('established')
      await carrier.event('CALL_ESTABLISHED')
      assert.match(await second.event('cancelled'), /SIP;cause=200;text="Call completed elsewhere"/)
      await second.frames('received', /^CANCEL [^]*^Reason: SIP;cause=200;text="Call completed elsewhere"\r$/m)
      await first.run('listen', 1000, 1.5)
      const heard = await first.run('listen', 1000, 10)
      assertHeard(heard, 'in the browser')
      await first.run('hangup')
      await carrier.event('CALL_CLOSED')
      const atTrunk = carrier.heard(440)
      assertHeard(atTrunk, 'at the trunk')
    })

    test('of two who answer at once one has the call, and the other is told that it is over', async () => {
      dial(OURS)
      const phones = [first, second]
      await Promise.all(phones.map((phone) => phone.event('incoming')))
      const ended = phones.map((phone) => phone.event('ended'))
      await Promise.all(phones.map((phone) => phone.run('answer')))
      await carrier.event('CALL_ESTABLISHED')
      const loser = await Promise.race(ended.map((end, index) => end.then(() => index)))
      const winner = phones[1 - loser]
      await winner.run('listen', 1000, 1.5)
      assertHeard(await winner.run('listen', 1000, 2), 'at the winner')
      await winner.run('hangup')
      await carrier.event('CALL_CLOSED')
      await Promise.all(ended)
      await gateway.noCalls()
    })

    test('a browser that is busy leaves the other ringing, and when both are, the caller hears it', async () => {
      dial(OURS)
      await Promise.all([first.event('incoming'), second.event('incoming')])
      await first.run('reject')
      await first.event('ended')
      await second.run('answer')
      await carrier.event('CALL_ESTABLISHED')
      await second.run('hangup')
      await carrier.event('CALL_CLOSED')
      dial(OURS)
      await Promise.all([first.event('incoming'), second.event('incoming')])
      await Promise.all([first.run('reject'), second.run('reject')])
      assert.match((await carrier.event('CALL_CLOSED')).param, /486/)
    })

    test('when nobody answers in the time of the extension, the ringing stops and the caller hears 480', async () => {
      await gateway.api('PATCH', `/extensions/${agent.extensionId}`, { ring_timeout_s: 1 })
      dial(OURS)
      await Promise.all([first.event('incoming'), second.event('incoming')])
      const told = await Promise.all([first.event('cancelled'), second.event('cancelled')])
      for (const reason of told) assert.match(reason, /Q\.850;cause=19;text="No answer"/)
      assert.match((await carrier.event('CALL_CLOSED')).param, /480/)
      await gateway.api('PATCH', `/extensions/${agent.extensionId}`, { ring_timeout_s: 30 })
    })

    test('a caller who gives up stops the ringing', async () => {
      dial(OURS)
      await Promise.all([first.event('incoming'), second.event('incoming')])
      await carrier.event('CALL_RINGING')
      carrier.hangup()
      await Promise.all([first.event('cancelled'), second.event('cancelled')])
      await gateway.noCalls()
    })
  })
}
