// An agent phones through a trunk: what both sides hear, and who hangs up.

import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'

import { Baresip } from '../lib/baresip.mjs'
import { Browser } from '../lib/browser.mjs'
import { Gateway } from '../lib/gateway.mjs'
import { assertHeard } from '../lib/hearing.mjs'

const CUSTOMER = '+4930123456'

for (const library of ['sipjs', 'jssip']) {
  describe(`calling out with ${library}`, () => {
    let browser, gateway, carrier, agent, phone

    before(async () => {
      browser = await Browser.start()
      gateway = await Gateway.start({ origins: [browser.origin] })
      carrier = await Baresip.start({ number: CUSTOMER, frequency: 1000 })
      agent = await gateway.agent('1001', { caller_id_number: '+4930555000' })
      await gateway.trunk(carrier.sipPort)
      phone = await browser.phone(library, gateway, agent, 440)
      await phone.event('registered')
    })

    after(async () => {
      await browser?.stop()
      await carrier?.stop()
      await gateway?.stop()
    })

    afterEach(() => gateway.hangUp())

    test('both sides hear the right tone without gaps, and the agent hangs up', async () => {
      await phone.run('call', CUSTOMER)
      await phone.event('established')
      await carrier.event('CALL_ESTABLISHED')
      await phone.run('listen', 1000, 1.5)
      const heard = await phone.run('listen', 1000, 10)
      assertHeard(heard, 'in the browser')
      await phone.run('hangup')
      await carrier.event('CALL_CLOSED')
      const atTrunk = carrier.heard(440)
      assertHeard(atTrunk, 'at the trunk')
      assert.ok(atTrunk.seconds > 9, JSON.stringify(atTrunk))
      await gateway.noCalls()
    })

    test('the customer hangs up', async () => {
      await phone.run('call', CUSTOMER)
      await phone.event('established')
      carrier.hangup()
      await phone.event('bye')
      await phone.event('ended')
    })
  })
}
