// The agent's page brings several into one call: by calling somebody into it, or out of two calls; whoever is in it is listed, and can be
// let go.

import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'

import { Baresip } from '../lib/baresip.mjs'
import { Browser } from '../lib/browser.mjs'
import { Gateway } from '../lib/gateway.mjs'
import { AgentPage } from '../lib/page.mjs'

const CUSTOMER = '+4930123456'
const [AGENT, COLLEAGUE, TRUNK] = [440, 600, 1000]
// Every tone is played at -12 dB; this is what is left of one that is not there, beside others that are.
const [SPOKEN, SILENT] = [-12, -40]
// Seconds a jitter buffer may hold sound back, and a recording may be off.
const SETTLE = 1.5

let browser, gateway, carrier, page, colleague, begun

before(async () => {
  browser = await Browser.start()
  gateway = await Gateway.start({ origins: [browser.origin] })
  carrier = await Baresip.start({ number: CUSTOMER, frequency: TRUNK })
  await gateway.trunk(carrier.sipPort)
  const agent = await gateway.agent('1001', { caller_id_number: '+4930555000' })
  page = await AgentPage.open(browser, gateway.origin)
  colleague = await browser.phone('sipjs', gateway, await gateway.agent('1002', { display_name: 'Ben Okafor' }), COLLEAGUE)
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

async function callOut() {
  await page.dial(CUSTOMER)
  await page.call('connected')
  await carrier.event('CALL_ESTABLISHED')
  begun = Date.now()
}

function check(heard, silent, where) {
  assert.ok(heard.every((level) => Math.abs(level - SPOKEN) < 3), `${where}: ${heard} dB`)
  assert.ok(silent.every((level) => level < SILENT), `${where}: silent ${silent} dB`)
}

// The agent hears these tones as they were played, and none of the others.
async function hears(tones, others) {
  await page.listen(tones[0], SETTLE)
  const levels = await page.levels([...tones, ...others], 2)
  check(levels.slice(0, tones.length), levels.slice(tones.length), `at the agent: ${tones}, not ${others}`)
}

async function colleagueHears(tones, others) {
  await colleague.run('listen', tones[0], SETTLE)
  const levels = await colleague.run('levels', [...tones, ...others], 2)
  check(levels.slice(0, tones.length), levels.slice(tones.length), `at the colleague: ${tones}, not ${others}`)
}

function trunkHeard(tones, others, from, to) {
  const stretch = [from + SETTLE, to - 0.5]
  assert.ok(stretch[1] - stretch[0] > 1, `nothing to hear between ${from} and ${to}`)
  const level = (tone) => carrier.level(tone, ...stretch)
  check(tones.map(level), others.map(level), `at the trunk from ${from} to ${to} s: ${tones}, not ${others}`)
}

const participant = (party, state) => page.page.locator(`.participants [data-party="${party}"][data-state="${state}"]`).waitFor()

async function three() {
  await participant(CUSTOMER, 'connected')
  await participant('1002', 'connected')
  await page.page.locator('.call h2', { hasText: 'Conference' }).waitFor()
  const from = since()
  await hears([TRUNK, COLLEAGUE], [AGENT])
  await colleagueHears([AGENT, TRUNK], [COLLEAGUE])
  return from
}

test('a colleague is called into the call, hears both, and is let go again', async () => {
  await callOut()
  await page.ask('Add', '1002', 'Add')
  await colleague.event('incoming')
  await participant('1002', 'ringing')
  await colleague.run('answer')
  await colleague.event('established')
  const joined = await three()
  await page.screenshot('page-conference')
  const leaving = since()
  await page.press('Remove Ben Okafor')
  await colleague.event('bye')
  await page.page.locator('.participants').waitFor({ state: 'detached' })
  assert.equal(await page.text('.call h2'), CUSTOMER)
  const left = since()
  await hears([TRUNK], [COLLEAGUE])
  const ended = since()
  await page.press('Hang up')
  await carrier.event('CALL_CLOSED')
  await page.noCall()
  trunkHeard([AGENT, COLLEAGUE], [], joined, leaving)
  trunkHeard([AGENT], [COLLEAGUE], left, ended)
})

test('a colleague who declines to join is told of, and nothing else has changed', async () => {
  await callOut()
  await page.ask('Add', '1002', 'Add')
  await colleague.event('incoming')
  await participant('1002', 'ringing')
  await colleague.run('reject')
  await page.notice('1002 did not join: Busy.')
  await page.page.locator('.participants').waitFor({ state: 'detached' })
  await hears([TRUNK], [COLLEAGUE])
  await page.press('Hang up')
  await carrier.event('CALL_CLOSED')
})

test('two calls become one of three; the agent leaves, and the two others talk on', async () => {
  await callOut()
  await page.ask('Transfer', '1002', 'Ask first')
  await colleague.event('incoming')
  await colleague.run('answer')
  await colleague.event('established')
  await page.call('connected')
  await hears([COLLEAGUE], [TRUNK])
  await page.press('Merge')
  await page.noOtherCall()
  const merged = await three()
  const leaving = since()
  await page.press('Hang up')
  await page.noCall()
  const left = since()
  await colleagueHears([TRUNK], [AGENT])
  const ended = since()
  await colleague.run('hangup')
  await carrier.event('CALL_CLOSED')
  trunkHeard([AGENT, COLLEAGUE], [], merged, leaving)
  trunkHeard([COLLEAGUE], [AGENT], left, ended)
})

test('the customer hangs up, and the call goes on with who joined', async () => {
  await callOut()
  await page.ask('Add', '1002', 'Add')
  await colleague.event('incoming')
  await colleague.run('answer')
  await colleague.event('established')
  await participant('1002', 'connected')
  carrier.hangup()
  await carrier.event('CALL_CLOSED')
  await page.page.locator('.call h2', { hasText: 'Ben Okafor' }).waitFor()
  await hears([COLLEAGUE], [TRUNK])
  await colleague.run('hangup')
  await page.noCall()
})

test('the page ran without an error', () => {
  assert.deepEqual(page.errors, [])
})
