// Somebody calls the agent's page during a call.

import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'

import { AGENT, COLLEAGUE, CUSTOMER, Desk, TRUNK } from '../lib/desk.mjs'

let desk, page, colleague, carrier, gateway

before(async () => {
  desk = await Desk.open()
  ;({ page, colleague, carrier, gateway } = desk)
})

after(() => desk?.close())

afterEach(() => gateway.hangUp())

async function called() {
  await desk.callIn()
  await colleague.run('call', '1001')
  await page.page.locator('.waiting', { hasText: 'Ben Okafor' }).waitFor()
}

test('who calls is told while the call goes on; answered, the other one waits until the agent takes it back', async () => {
  await called()
  await page.screenshot('page-waiting')
  await desk.hears([TRUNK])
  await page.press('Hold and answer')
  await colleague.event('established')
  await page.otherCall('connected')
  const held = desk.since()
  await desk.hears([COLLEAGUE])
  const resumed = desk.since()
  await colleague.run('hangup')
  await page.noOtherCall()
  await page.notice(`Ben Okafor: The other side hung up. You are with ${CUSTOMER}.`)
  await page.page.locator('.call-status', { hasText: 'On hold' }).waitFor()
  await page.press('Resume')
  await page.page.locator('.call-status', { hasNotText: 'On hold' }).waitFor()
  await desk.hears([TRUNK])
  await desk.hangUp()
  desk.customerWaited(held, resumed)
})

test('who called and who calls are put through to each other', async () => {
  await called()
  await page.press('Hold and answer')
  await colleague.event('established')
  await page.otherCall('connected')
  await desk.hears([COLLEAGUE])
  await page.press('Complete transfer')
  await page.notice('The call was handed on.')
  await page.noCall()
  const joined = desk.since()
  await desk.colleagueHears([TRUNK])
  const ended = desk.since()
  await colleague.run('hangup')
  await carrier.event('CALL_CLOSED')
  desk.customerHeard([COLLEAGUE], joined, ended)
})

test('who calls can be rejected, and gives up unanswered', async () => {
  await called()
  await page.press('Reject')
  assert.match(await colleague.event('refused'), /^refused 486/)
  await page.page.locator('.waiting').waitFor({ state: 'detached' })
  await colleague.run('call', '1001')
  await page.page.locator('.waiting').waitFor()
  await colleague.run('hangup')
  await page.page.locator('.waiting').waitFor({ state: 'detached' })
  const alone = desk.since()
  await desk.hears([TRUNK])
  const ended = desk.since()
  await desk.hangUp()
  desk.customerHeard([AGENT], alone, ended)
})

test('whoever calls during two calls hears busy, and so does who calls more than the agent may have', async () => {
  await desk.consult()
  const third = await desk.browser.phone('jssip', gateway, await gateway.agent('1003'))
  await third.event('registered')
  await third.run('call', '1001')
  assert.match(await third.event('refused'), /^refused 486/)
  await page.press('Cancel')
  await page.noOtherCall()
  await gateway.api('PATCH', `/agents/${desk.agent.agentId}`, { max_concurrent_calls: 1 })
  await third.run('call', '1001')
  assert.match(await third.event('refused'), /^refused 486/)
  assert.equal(await page.page.locator('.waiting').count(), 0)
  await desk.hangUp()
  await third.close()
})

test('the page ran without an error', () => {
  assert.deepEqual(page.errors, [])
})
