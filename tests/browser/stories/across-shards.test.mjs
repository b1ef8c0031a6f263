// Two agents whose media is on different threads of the gateway, each with a customer of its own: when one has called the other, the other joins
// its calls, and then the first does, whoever is left hears the other at the level it speaks, without a gap.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { Baresip } from '../lib/baresip.mjs'
import { Browser } from '../lib/browser.mjs'
import { Gateway } from '../lib/gateway.mjs'
import { assertHeard } from '../lib/hearing.mjs'

// With two threads these two belong to different ones.
const [FIRST, SECOND] = ['1001', '1004']
const [AGENTS, CUSTOMERS] = [[440, 600], [1000, 1600]]
const LINKED = 'patchcord_media_link_packets_total'
// Seconds a jitter buffer may hold sound back, and a recording may be off.
const SETTLE = 1.5

describe('agents on two media threads', () => {
  let browser, gateway, customers, agents, begun

  before(async () => {
    browser = await Browser.start()
    gateway = await Gateway.start({ origins: [browser.origin], settings: { MEDIA__SHARDS: 2 } })
    customers = []
    agents = []
    for (const [place, number] of [FIRST, SECOND].entries()) {
      const customer = await Baresip.start({ number: `+493012345${place}`, frequency: CUSTOMERS[place] })
      const trunk = await gateway.trunk(customer.sipPort)
      const agent = await gateway.agent(number)
      await gateway.api('POST', '/numbers', {
        e164: `+493055500${place}`, trunk_id: trunk.id, target: { type: 'extension', id: agent.extensionId }
      })
      const phone = await browser.phone('sipjs', gateway, agent, AGENTS[place])
      await phone.event('registered')
      customers.push(customer)
      agents.push(phone)
    }
  })

  after(async () => {
    await browser?.stop()
    for (const customer of customers ?? []) await customer.stop()
    await gateway?.stop()
  })

  async function hears(page, frequency) {
    await page.run('listen', frequency, SETTLE)
    assertHeard(await page.run('listen', frequency, 2), `${frequency} Hz in the browser`)
  }

  test('customers who were handed on from both sides hear each other', async () => {
    begun = []
    for (const place of [0, 1]) {
      customers[place].dial(`sip:+493055500${place}@127.0.0.1:${gateway.sipPort}`)
      await agents[place].event('incoming')
      await agents[place].run('answer')
      await agents[place].event('established')
      await customers[place].event('CALL_ESTABLISHED')
      begun.push(Date.now())
    }
    await agents[1].run('call', FIRST)
    await agents[0].event('incoming')
    await agents[0].run('answer')
    await agents[1].event('established')
    await hears(agents[0], AGENTS[1])

    assert.equal(await gateway.counter(LINKED), 0, 'nothing goes between threads yet')

    await agents[0].run('refer')
    await agents[0].event('notified 200')
    await agents[0].event('bye')
    await hears(agents[1], CUSTOMERS[0])

    await agents[1].run('refer')
    await agents[1].event('notified 200')
    await agents[1].event('bye')
    const joined = begun.map((at) => (Date.now() - at) / 1000)
    await new Promise((wake) => setTimeout(wake, 5000))
    for (const place of [0, 1]) {
      const stretch = [joined[place] + SETTLE, joined[place] + 4.5]
      assertHeard(customers[place].heard(CUSTOMERS[1 - place], ...stretch), `the other customer, by customer ${place}`)
    }
    // Five seconds of 50 packets each way.
    assert.ok(await gateway.counter(LINKED) > 500, 'over the link')
    const { data } = await gateway.api('GET', '/calls')
    assert.equal(data.length, 1)
    const hear = data[0].legs.filter(({ state }) => state === 'connected').map(({ hears }) => hears)
    assert.deepEqual(hear, ['party', 'party'])
    customers[0].hangup()
    await customers[1].event('CALL_CLOSED')
    await gateway.noCalls()
  })
})
