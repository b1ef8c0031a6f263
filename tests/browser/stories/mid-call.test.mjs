// What is lost in the middle of a call: the page, the microphone, the connection. The call goes on, or ends as it should.

import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'

import { Baresip } from '../lib/baresip.mjs'
import { Browser } from '../lib/browser.mjs'
import { Cable } from '../lib/cable.mjs'
import { Gateway } from '../lib/gateway.mjs'
import { assertHeard } from '../lib/hearing.mjs'
import { AgentPage } from '../lib/page.mjs'

const CUSTOMER = '+4930123456'
// Seconds without media that end a call.
const SILENCE = 2

let browser, gateway, carrier

before(async () => {
  browser = await Browser.start()
  gateway = await Gateway.start({ origins: [browser.origin], settings: { MEDIA__SILENCE_TIMEOUT_S: SILENCE } })
  carrier = await Baresip.start({ number: CUSTOMER, frequency: 1000 })
  await gateway.trunk(carrier.sipPort)
})

after(async () => {
  await browser?.stop()
  await carrier?.stop()
  await gateway?.stop()
})

afterEach(() => gateway.hangUp())

for (const [index, library] of ['sipjs', 'jssip'].entries()) {
  describe(`in the middle of a call with ${library}`, () => {
    let phone

    before(async () => {
      phone = await browser.phone(library, gateway, await gateway.agent(`10${index}`))
      await phone.event('registered')
    })

    async function call() {
      await phone.run('call', CUSTOMER)
      await phone.event('established')
      await carrier.event('CALL_ESTABLISHED')
    }

    test('an agent who is muted for longer than that is not taken for dead', async () => {
      await call()
      await phone.run('mute', true)
      assertHeard(await phone.run('listen', 1000, SILENCE + 2), 'while muted')
      await phone.run('mute', false)
      await phone.run('listen', 1000, 2)
      await phone.run('hangup')
      await carrier.event('CALL_CLOSED')
      const heard = carrier.heard(440)
      assert.ok(heard.longestGap > SILENCE * 1000 && heard.longestGap < heard.seconds * 1000 - 1000, JSON.stringify(heard))
    })

    test('a page that dies is hung up on, and so is the customer', async () => {
      await call()
      await phone.run('listen', 1000, 1)
      await phone.crash()
      await carrier.event('CALL_CLOSED')
      await gateway.noCalls()
    })
  })
}

describe('a connection that is lost and comes back in the middle of a call', () => {
  let cable

  before(async () => {
    cable = await Cable.plug(gateway.origin)
  })

  after(() => cable.unplug())

  test('leaves the sound alone, and an agent with JsSIP hangs up over the new one', async () => {
    const phone = await browser.phone('jssip', { ...gateway, socket: cable.origin.replace('https', 'wss') + '/sip' }, await gateway.agent('110'))
    await phone.event('registered')
    await phone.run('call', CUSTOMER)
    await phone.event('established')
    await carrier.event('CALL_ESTABLISHED')
    await phone.run('listen', 1000, 1.5)
    cable.unplug()
    assertHeard(await phone.run('listen', 1000, 3), 'without a connection')
    await cable.replug()
    await phone.event('registered')
    await phone.run('hangup')
    await carrier.event('CALL_CLOSED')
    await phone.close()
  })

  test('leaves the call on the page, where the agent hangs up', async () => {
    const agent = await gateway.agent('111')
    const page = await AgentPage.open(browser, cable.origin)
    await page.signIn(`111@${gateway.realm}`, agent.password)
    await page.registration('Ready')
    await page.dial(CUSTOMER)
    await page.call('connected')
    await carrier.event('CALL_ESTABLISHED')
    cable.unplug()
    await page.registration('Trying again')
    await page.call('connected')
    await cable.replug()
    await page.registration('Ready')
    await page.listen(1000, 1)
    assertHeard(await page.listen(1000, 1), 'on the page')
    await page.press('Hang up')
    await carrier.event('CALL_CLOSED')
    await page.noCall()
    await page.close()
  })
})
