// A trunk that speaks PCMA only: both sides hear each other as they do with PCMU.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { Baresip } from '../lib/baresip.mjs'
import { Browser } from '../lib/browser.mjs'
import { Gateway } from '../lib/gateway.mjs'
import { assertHeard } from '../lib/hearing.mjs'

const CUSTOMER = '+4930123456'
let browser, gateway, carrier

before(async () => {
  browser = await Browser.start()
  gateway = await Gateway.start({ origins: [browser.origin] })
  carrier = await Baresip.start({ number: CUSTOMER, frequency: 1000, codec: 'PCMA' })
  await gateway.trunk(carrier.sipPort)
})

after(async () => {
  await browser?.stop()
  await carrier?.stop()
  await gateway?.stop()
})

for (const [library, number] of [['sipjs', '100'], ['jssip', '101']]) {
  test(`both sides hear the right tone over PCMA with ${library}`, async () => {
    const phone = await browser.phone(library, gateway, await gateway.agent(number), 440)
    await phone.event('registered')
    await phone.run('call', CUSTOMER)
    await phone.event('established')
    await carrier.event('CALL_ESTABLISHED')
    const { data } = await gateway.api('GET', '/calls')
    assert.deepEqual(data.map((call) => call.legs.map((leg) => leg.codec)), [['opus', 'pcma']])
    await phone.run('listen', 1000, 1.5)
    const heard = await phone.run('listen', 1000, 10)
    assertHeard(heard, 'in the browser')
    await phone.run('hangup')
    await carrier.event('CALL_CLOSED')
    const atTrunk = carrier.heard(440)
    assertHeard(atTrunk, 'at the trunk')
    assert.ok(atTrunk.seconds > 9, JSON.stringify(atTrunk))
    await phone.close()
  })
}
