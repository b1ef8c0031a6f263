// The agent's page brings several into one call: by calling somebody into it, or out of two calls; whoever is in it is listed, and can be
// let go. Whom to call is chosen from a directory.

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

const participant = (party, state) => page.page.locator(`.participants [data-party="${party}"][data-state="${state}"]`).waitFor()

async function add() {
  await desk.callOut()
  await page.ask('Add', '1002', 'Add')
  await colleague.event('incoming')
  await participant('1002', 'ringing')
}

// All three hear both others; gives since when.
async function three() {
  await participant(CUSTOMER, 'connected')
  await participant('1002', 'connected')
  await page.page.locator('.call h2', { hasText: 'Conference' }).waitFor()
  const from = desk.since()
  await desk.hears([TRUNK, COLLEAGUE])
  await desk.colleagueHears([AGENT, TRUNK])
  return from
}

test('a colleague is found by part of a name and by the keyboard alone, with whether it is free', async () => {
  await desk.callOut()
  await page.press('Add')
  const entry = page.page.locator('.people-dialog [data-number="1002"]')
  await entry.locator('.presence[data-presence=available]').waitFor()
  assert.equal(await page.page.locator('.people-dialog [data-number="1001"]').count(), 0, 'the agent itself is none of its colleagues')
  await colleague.run('call', '9196')
  await colleague.event('established')
  await entry.locator('.presence[data-presence=busy]').waitFor()
  await page.screenshot('page-directory')
  await colleague.run('hangup')
  await entry.locator('.presence[data-presence=available]').waitFor()
  await page.page.keyboard.type('kaf')
  await page.page.locator('.people-dialog [data-number="1002"][aria-selected=true]').waitFor()
  await page.page.keyboard.press('Enter')
  assert.equal(await colleague.event('incoming'), 'incoming 1001')
  await page.press('Remove Ben Okafor')
  await colleague.event('cancelled')
  await page.page.locator('.participants').waitFor({ state: 'detached' })
  await desk.hangUp()
})

test('a colleague is called into the call, hears both, and is let go again', async () => {
  await add()
  await desk.colleagueAnswers()
  const joined = await three()
  await page.screenshot('page-conference')
  const leaving = desk.since()
  await page.press('Remove Ben Okafor')
  await colleague.event('bye')
  await page.page.locator('.participants').waitFor({ state: 'detached' })
  assert.equal(await page.text('.call h2'), CUSTOMER)
  const left = desk.since()
  await desk.hears([TRUNK])
  const ended = desk.since()
  await desk.hangUp()
  desk.customerHeard([AGENT, COLLEAGUE], joined, leaving)
  desk.customerHeard([AGENT], left, ended)
})

test('a colleague who declines to join is told of, and nothing else has changed', async () => {
  await add()
  await colleague.run('reject')
  await page.notice('1002 did not join: Busy.')
  await page.page.locator('.participants').waitFor({ state: 'detached' })
  await desk.hears([TRUNK])
  await desk.hangUp()
})

test('two calls become one of three; the agent leaves, and the two others talk on', async () => {
  await desk.consult()
  await desk.colleagueAnswers()
  await page.call('connected')
  await desk.hears([COLLEAGUE])
  await page.press('Merge')
  await page.noOtherCall()
  const merged = await three()
  const leaving = desk.since()
  await page.press('Hang up')
  await page.noCall()
  const left = desk.since()
  await desk.colleagueHears([TRUNK])
  const ended = desk.since()
  await colleague.run('hangup')
  await carrier.event('CALL_CLOSED')
  desk.customerHeard([AGENT, COLLEAGUE], merged, leaving)
  desk.customerHeard([COLLEAGUE], left, ended)
})

test('the customer hangs up, and the call goes on with who joined', async () => {
  await add()
  await desk.colleagueAnswers()
  await participant('1002', 'connected')
  await desk.customerHangsUp()
  await page.page.locator('.call h2', { hasText: 'Ben Okafor' }).waitFor()
  await desk.hears([COLLEAGUE])
  await colleague.run('hangup')
  await page.noCall()
})

test('without a directory any number can be typed', async () => {
  await page.page.route('**/v1/directory**', (route) => route.abort())
  const before = page.errors.length
  await desk.callOut()
  await page.press('Transfer')
  await page.page.locator('.people-hint', { hasText: 'The directory is not available now.' }).waitFor()
  // What the browser itself says about a request that failed is no mistake of the page.
  page.errors.splice(before)
  await page.page.fill('.people-dialog input', '1002')
  await page.press('Ask first')
  await colleague.event('incoming')
  await page.press('Cancel')
  await page.noOtherCall()
  await desk.hangUp()
})

test('the page ran without an error', () => {
  assert.deepEqual(page.errors, [])
})
