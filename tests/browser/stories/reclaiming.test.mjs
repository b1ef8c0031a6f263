// A call whose agent's page is gone is taken back by REST: another page of the extension is called and answers, on whatever library, and goes
// on talking to the customer, who waited.

import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'

import { Baresip } from '../lib/baresip.mjs'
import { Browser } from '../lib/browser.mjs'
import { Cable } from '../lib/cable.mjs'
import { Gateway } from '../lib/gateway.mjs'
import { assertHeard, assertHears } from '../lib/hearing.mjs'

const CUSTOMER = '+4930123456'
const [AGENT, AGAIN, TRUNK] = [440, 620, 1000]
// What is left of a tone that is not there, beside others that are.
const SILENT = -40
// Seconds a jitter buffer may hold sound back, and a recording may be off.
const SETTLE = 1.5

describe('a call taken back by REST', () => {
  let browser, gateway, carrier, cable

  before(async () => {
    browser = await Browser.start()
    gateway = await Gateway.start({ origins: [browser.origin] })
    carrier = await Baresip.start({ number: CUSTOMER, frequency: TRUNK })
    await gateway.trunk(carrier.sipPort)
  })

  after(async () => {
    await browser?.stop()
    await carrier?.stop()
    await gateway?.stop()
  })

  afterEach(() => {
    cable?.unplug()
    return gateway.hangUp()
  })

  // A page hears the customer as it spoke.
  async function hears(page) {
    await page.run('listen', TRUNK, SETTLE)
    await assertHears(page, TRUNK, 'the customer in the browser')
  }

  for (const [index, [library, other]] of [['sipjs', 'jssip'], ['jssip', 'sipjs']].entries()) {
    for (const again of [library, other]) {
      test(`a page on ${library} that died is followed by another on ${again}`, async () => {
        const agent = await gateway.agent(`1${index}${again === library ? 1 : 2}`)
        cable = await Cable.plug(gateway.origin)
        const wires = { ...gateway, socket: cable.origin.replace('https', 'wss') + '/sip' }
        const phone = await browser.phone(library, wires, agent, AGENT)
        await phone.event('registered')
        await phone.run('call', CUSTOMER)
        await phone.event('established')
        await carrier.event('CALL_ESTABLISHED')
        const begun = Date.now()
        const since = () => (Date.now() - begun) / 1000
        await hears(phone)
        await phone.run('listen', TRUNK, 1)

        const lost = since()
        cable.unplug()
        await phone.crash()
        const [{ id }] = (await gateway.api('GET', '/calls')).data
        await gateway.until(() => gateway.api('GET', `/calls/${id}`), ({ legs }) => legs.some(({ away }) => away))
        const page = await browser.phone(again, gateway, agent, AGAIN)
        await page.event('registered')
        await gateway.api('POST', `/calls/${id}/reclaim`)
        await page.event('incoming')
        const [invite] = await page.frames('received', /^INVITE /)
        assert.match(invite, /^Call-Info: <[^>]+>;answer-after=0\r$/m)
        // What a softphone that knows the header does by itself.
        await page.run('answer')
        await page.event('established')
        const back = since()
        await hears(page)
        await page.run('listen', TRUNK, 1)
        const { state, legs } = await gateway.api('GET', `/calls/${id}`)
        assert.equal(state, 'connected')
        assert.ok(legs.every(({ away }) => !away), JSON.stringify(legs))
        const ended = since()
        await page.run('hangup')
        await carrier.event('CALL_CLOSED')
        await gateway.noCalls()
        await page.close()
        assertHeard(carrier.heard(AGENT, SETTLE, lost - 0.5), 'the agent, at the customer')
        // What the customer was not sent takes no time in its recording: it ends with what the new page said.
        const { seconds } = carrier.heard(AGAIN, 0)
        const spoken = [seconds - (ended - back) + SETTLE, seconds - 0.5]
        assertHeard(carrier.heard(AGAIN, ...spoken), 'the agent again, at the customer')
        const before = carrier.level(AGENT, ...spoken)
        assert.ok(before < SILENT, `the page that died, at the customer: ${before} dB`)
      })
    }
  }
})
