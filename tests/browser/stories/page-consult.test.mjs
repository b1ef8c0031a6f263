// The agent's page with two calls: whoever is to take a call is asked first, and who calls meanwhile is told to the agent.

import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'

import { Baresip } from '../lib/baresip.mjs'
import { Browser } from '../lib/browser.mjs'
import { Gateway } from '../lib/gateway.mjs'
import { assertHeard } from '../lib/hearing.mjs'
import { AgentPage } from '../lib/page.mjs'

const CUSTOMER = '+4930123456'
const OURS = '+4930555000'
const [AGENT, COLLEAGUE, TRUNK] = [440, 600, 1000]
// What is left of a tone that is not there, beside others that are; a browser that is short of time leaves more.
const [SILENT, SILENT_AT_AGENT] = [-50, -40]
// Seconds a jitter buffer may hold sound back, and a recording may be off.
const SETTLE = 1.5

let browser, gateway, carrier, page, colleague, begun

before(async () => {
  browser = await Browser.start()
  gateway = await Gateway.start({ origins: [browser.origin] })
  carrier = await Baresip.start({ number: CUSTOMER, frequency: TRUNK })
  const agent = await gateway.agent('1001')
  const trunk = await gateway.trunk(carrier.sipPort)
  await gateway.api('POST', '/numbers', { e164: OURS, trunk_id: trunk.id, target: { type: 'extension', id: agent.extensionId } })
  page = await AgentPage.open(browser, gateway.origin)
  colleague = await browser.phone('sipjs', gateway, await gateway.agent('1002'), COLLEAGUE)
  await colleague.event('registered')
  await page.signIn(`1001@${gateway.realm}`, agent.password)
  await page.registration('Ready')
})

after(async () => {
  await browser?.stop()
  await carrier?.stop()
  await gateway?.stop()
})

afterEach(() => gateway.hangUp())

const since = () => (Date.now() - begun) / 1000

async function callIn() {
  carrier.dial(`sip:${OURS}@127.0.0.1:${gateway.sipPort}`)
  await page.call('incoming')
  await page.press('Answer')
  await page.call('connected')
  await carrier.event('CALL_ESTABLISHED')
  begun = Date.now()
}

// The page hears this tone, and nothing of the others.
async function hears(frequency) {
  await page.listen(frequency, SETTLE)
  assertHeard(await page.listen(frequency, 1.5), `${frequency} Hz at the agent`)
  const others = [AGENT, COLLEAGUE, TRUNK].filter((other) => other !== frequency)
  const levels = await page.levels(others, 1)
  assert.ok(levels.every((level) => level < SILENT_AT_AGENT), `${others} Hz at the agent at ${levels} dB`)
}

function trunkHeard(frequency, other, from, to) {
  const stretch = [from + SETTLE, to - 0.5]
  assert.ok(stretch[1] - stretch[0] > 1, `nothing to hear between ${from} and ${to}`)
  assertHeard(carrier.heard(frequency, ...stretch), `${frequency} Hz at the trunk from ${from} to ${to} s`)
  const level = carrier.level(other, ...stretch)
  assert.ok(level < SILENT, `${other} Hz at the trunk from ${from} to ${to} s at ${level} dB`)
}

// The customer waits, and the colleague has been asked.
async function consult() {
  await callIn()
  await page.ask('Transfer', '1002', 'Ask first')
  assert.equal(await colleague.event('incoming'), 'incoming 1001')
  await page.otherCall('connected')
  assert.equal(await page.page.locator('.other-call').getAttribute('data-held'), 'true')
}

async function talk() {
  await colleague.run('answer')
  await colleague.event('established')
  await page.call('connected')
  await hears(COLLEAGUE)
}

test('a colleague is asked, told, and given the customer', async () => {
  await consult()
  await page.screenshot('page-consultation-ringing')
  await talk()
  await colleague.run('listen', AGENT, SETTLE)
  assertHeard(await colleague.run('listen', AGENT, 2), 'the agent, at the colleague')
  await page.screenshot('page-consultation')
  await page.press('Complete transfer')
  await page.notice('The call was handed on.')
  await page.noCall()
  const joined = since()
  await colleague.run('listen', TRUNK, SETTLE)
  assertHeard(await colleague.run('listen', TRUNK, 3), 'the customer, at the colleague')
  const ended = since()
  await colleague.run('hangup')
  await carrier.event('CALL_CLOSED')
  trunkHeard(COLLEAGUE, AGENT, joined, ended)
})

test('the customer is handed over while the colleague\'s phone still rings', async () => {
  await consult()
  await page.page.locator('.call-status', { hasText: 'Ringing' }).waitFor()
  await page.press('Complete transfer')
  await colleague.run('answer')
  await colleague.event('established')
  await page.notice('The call was handed on.')
  await page.noCall()
  const joined = since()
  await colleague.run('listen', TRUNK, SETTLE)
  assertHeard(await colleague.run('listen', TRUNK, 2), 'the customer, at the colleague')
  const ended = since()
  await colleague.run('hangup')
  await carrier.event('CALL_CLOSED')
  trunkHeard(COLLEAGUE, AGENT, joined, ended)
})

test('an agent who changes its mind is with the customer again', async () => {
  await consult()
  await talk()
  await page.press('Cancel')
  await colleague.event('bye')
  await page.noOtherCall()
  assert.equal(await page.text('.call h2'), CUSTOMER)
  const back = since()
  await hears(TRUNK)
  const ended = since()
  await page.press('Hang up')
  await carrier.event('CALL_CLOSED')
  await page.noCall()
  trunkHeard(AGENT, COLLEAGUE, back, ended)
})

test('the agent talks to one and the other in turn, and only to that one', async () => {
  await consult()
  await talk()
  const turned = since()
  await page.press('Swap')
  await page.page.locator('.call h2', { hasText: CUSTOMER }).waitFor()
  await hears(TRUNK)
  const turnedBack = since()
  await page.press('Swap')
  await page.page.locator('.call h2', { hasText: '1002' }).waitFor()
  await hears(COLLEAGUE)
  const ended = since()
  carrier.hangup()
  await carrier.event('CALL_CLOSED')
  await page.notice(`${CUSTOMER}: The other side hung up. You are with Agent 1002.`)
  await page.noOtherCall()
  await hears(COLLEAGUE)
  await page.press('Hang up')
  await page.noCall()
  trunkHeard(AGENT, COLLEAGUE, turned, turnedBack)
  const level = carrier.level(AGENT, turnedBack + SETTLE, ended - 0.5)
  assert.ok(level < SILENT, `the held customer hears the agent at ${level} dB`)
})

test('a colleague who declines leaves the agent its customer', async () => {
  await consult()
  await colleague.run('reject')
  await page.notice(`1002: Busy. You are with ${CUSTOMER}.`)
  await page.noOtherCall()
  const back = since()
  await hears(TRUNK)
  const ended = since()
  await page.press('Hang up')
  await carrier.event('CALL_CLOSED')
  trunkHeard(AGENT, COLLEAGUE, back, ended)
})

test('who calls during a call is told; answered, the other one waits', async () => {
  await callIn()
  await colleague.run('call', '1001')
  await page.page.locator('.waiting', { hasText: '1002' }).waitFor()
  await page.screenshot('page-waiting')
  await hears(TRUNK)
  await page.press('Hold and answer')
  await colleague.event('established')
  await page.otherCall('connected')
  await hears(COLLEAGUE)
  await colleague.run('hangup')
  await page.noOtherCall()
  await page.notice(`1002: The other side hung up. You are with ${CUSTOMER}.`)
  await page.page.locator('.call-status', { hasText: 'On hold' }).waitFor()
  await page.press('Resume')
  await hears(TRUNK)
  await page.press('Hang up')
  await carrier.event('CALL_CLOSED')
})

test('who calls during a call can be rejected, and a third hears busy', async () => {
  await consult()
  await talk()
  const third = await browser.phone('jssip', gateway, await gateway.agent('1003'))
  await third.event('registered')
  await third.run('call', '1001')
  assert.match(await third.event('refused'), /^refused 486/)
  await page.press('Cancel')
  await page.noOtherCall()
  await third.run('call', '1001')
  await page.page.locator('.waiting', { hasText: '1003' }).waitFor()
  await page.press('Reject')
  assert.match(await third.event('refused'), /^refused 486/)
  await page.page.locator('.waiting').waitFor({ state: 'detached' })
  await hears(TRUNK)
  await third.close()
})

test('the page ran without an error', () => {
  assert.deepEqual(page.errors, [])
})
