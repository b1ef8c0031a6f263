// A customer phones in: all browsers of the extension ring, the first answer wins, and everyone hears the right thing.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { Baresip } from '../lib/baresip.mjs'
import { Browser } from '../lib/browser.mjs'
import { Gateway } from '../lib/gateway.mjs'
import { assertHeard } from '../lib/hearing.mjs'

const CUSTOMER = '+4930123456'
const OURS = '+4930555000'

for (const library of ['sipjs', 'jssip']) {
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
      second = await browser.phone(library, gateway, agent, 600)
      await first.event('registered')
      await second.event('registered')
      dial(OURS)
      const ringing = await Promise.all([first.event('incoming'), second.event('incoming')])
      assert.deepEqual(ringing, [`incoming ${CUSTOMER}`, `incoming ${CUSTOMER}`])
      await first.run('answer')
      await first.event('established')
      await carrier.event('CALL_ESTABLISHED')
      assert.match(await second.event('cancelled'), /SIP;cause=200;text="Call completed elsewhere"/)
      await first.run('listen', 1000, 1.5)
      const heard = await first.run('listen', 1000, 10)
      assertHeard(heard, 'in the browser')
      await first.run('hangup')
      await carrier.event('CALL_CLOSED')
      const atTrunk = carrier.heard(440)
      assertHeard(atTrunk, 'at the trunk')
      await second.close()
    })

    test('an agent who rejects is busy to the caller', async () => {
      dial(OURS)
      await first.event('incoming')
      await first.run('reject')
      assert.match((await carrier.event('CALL_CLOSED')).param, /486/)
    })

    test('a caller who gives up stops the ringing', async () => {
      dial(OURS)
      await first.event('incoming')
      await carrier.event('CALL_RINGING')
      carrier.hangup()
      await first.event('cancelled')
      await gateway.noCalls()
    })
  })
}
