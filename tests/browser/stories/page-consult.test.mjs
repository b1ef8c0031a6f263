// The agent's page asks somebody before it hands a call on.

import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'

import { AGENT, COLLEAGUE, CUSTOMER, Desk, TRUNK } from '../lib/desk.mjs'

let desk, page, colleague, carrier

before(async () => {
  desk = await Desk.open()
  ;({ page, colleague, carrier } = desk)
})

after(() => desk?.close())

afterEach(() => desk.gateway.hangUp())

async function consult() {
  await desk.consult()
  await desk.colleagueAnswers()
  await page.call('connected')
  await desk.hears([COLLEAGUE])
}

// The agent is out of it, and the two others hear each other.
async function handedOn() {
  await page.noCall()
  assert.equal(await page.text('.notice p'), 'The call was handed on.')
  const joined = desk.since()
  await desk.colleagueHears([TRUNK])
  const ended = desk.since()
  await colleague.run('hangup')
  await carrier.event('CALL_CLOSED')
  desk.customerHeard([COLLEAGUE], joined, ended)
}

test('a colleague is asked, told, and given the customer', async () => {
  await consult()
  await desk.colleagueHears([AGENT])
  await page.screenshot('page-consultation')
  await page.press('Complete transfer')
  await handedOn()
})

test('the customer is handed over while the colleague\'s phone still rings', async () => {
  await desk.consult()
  await page.page.locator('.call-status', { hasText: 'Ringing' }).waitFor()
  await page.press('Complete transfer')
  await desk.colleagueAnswers()
  await handedOn()
})

test('an agent who changes its mind is with the customer again', async () => {
  await consult()
  await page.press('Cancel')
  await colleague.event('bye')
  await page.noOtherCall()
  assert.equal(await page.text('.call h2'), CUSTOMER)
  const back = desk.since()
  await desk.hears([TRUNK])
  const ended = desk.since()
  await desk.hangUp()
  desk.customerHeard([AGENT], back, ended)
})

test('a colleague who declines leaves the agent its customer', async () => {
  await desk.consult()
  await colleague.run('reject')
  await page.notice(`Ben Okafor: Busy. You are with ${CUSTOMER}.`)
  await page.noOtherCall()
  const back = desk.since()
  await desk.hears([TRUNK])
  const ended = desk.since()
  await desk.hangUp()
  desk.customerHeard([AGENT], back, ended)
})

test('the agent talks to one and the other in turn, and only to that one', async () => {
  await consult()
  const turned = desk.since()
  await page.press('Swap')
  await page.page.locator('.call h2', { hasText: CUSTOMER }).waitFor()
  await desk.hears([TRUNK])
  const turnedBack = desk.since()
  await page.press('Swap')
  await page.page.locator('.call h2', { hasText: 'Ben Okafor' }).waitFor()
  await desk.hears([COLLEAGUE])
  const ended = desk.since()
  await desk.customerHangsUp()
  await page.notice(`${CUSTOMER}: The other side hung up. You are with Ben Okafor.`)
  await page.noOtherCall()
  await desk.hears([COLLEAGUE])
  await page.press('Hang up')
  await page.noCall()
  desk.customerHeard([AGENT], turned, turnedBack)
  desk.customerWaited(turnedBack, ended)
})

test('the page ran without an error', () => {
  assert.deepEqual(page.errors, [])
})
