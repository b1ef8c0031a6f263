// The agent's page loses the gateway, or is loaded again, or is held from outside, in the middle of a call, which goes on.

import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'

import { Baresip } from '../lib/baresip.mjs'
import { Browser, crash } from '../lib/browser.mjs'
import { Cable } from '../lib/cable.mjs'
import { Detour } from '../lib/detour.mjs'
import { Gateway } from '../lib/gateway.mjs'
import { assertHeard } from '../lib/hearing.mjs'
import { AgentPage } from '../lib/page.mjs'
import { freeUdpPort } from '../lib/ports.mjs'

const CUSTOMER = '+4930123456'
const OURS = '+4930555000'
const [AGENT, TRUNK] = [440, 1000]
const SETTLE = 1.5

let browser, gateway, cable, carrier, agent, page, begun, mediaPort

before(async () => {
  browser = await Browser.start()
  mediaPort = await freeUdpPort()
  gateway = await Gateway.start({ settings: { MEDIA__BROWSER_PORTS: mediaPort } })
  carrier = await Baresip.start({ number: CUSTOMER, frequency: TRUNK })
  agent = await gateway.agent('1001', { caller_id_number: OURS })
  await gateway.trunk(carrier.sipPort)
  cable = await Cable.plug(gateway.origin)
  page = await AgentPage.open(browser, cable.origin)
  await page.signIn(`1001@${gateway.realm}`, agent.password)
  await page.registration('Ready')
})

after(async () => {
  await browser?.stop()
  cable?.unplug()
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
  await hears()
}

async function hears() {
  await page.listen(TRUNK, SETTLE)
  assertHeard(await page.listen(TRUNK, 2), 'the customer, at the agent')
}

function trunkHeard(from, to) {
  assert.ok(to - from > SETTLE + 1.5, `nothing to hear between ${from} and ${to}`)
  assertHeard(carrier.heard(AGENT, from + SETTLE, to - 0.5), `the agent, at the trunk from ${from} to ${to} s`)
}

async function hangUp() {
  await page.press('Hang up')
  await carrier.event('CALL_CLOSED')
  await page.noCall()
  await gateway.noCalls()
}

// The page goes and comes again, as when its user presses F5 and confirms.
async function reload() {
  page.page.once('dialog', (dialog) => dialog.accept())
  await page.page.reload()
}

test('a lost connection is told during the call, which goes on and can be held and hung up afterwards', async () => {
  await callOut()
  const lost = since()
  const before = page.errors.length
  cable.unplug()
  await page.page.locator('.connection', { hasText: /Connection lost – reconnecting … Your call goes on\.\s*Attempt \d+/ }).waitFor()
  await page.screenshot('page-connection-lost')
  await hears()
  await cable.replug()
  await page.page.locator('.connection').waitFor({ state: 'detached' })
  await page.registration('Ready')
  // What the browser itself says about a lost connection is no mistake of the page.
  page.errors.splice(before)
  await hears()
  const back = since()
  await page.press('Hold')
  await page.page.locator('.call-status', { hasText: 'On hold' }).waitFor()
  await page.press('Resume')
  await page.page.locator('.call-status', { hasNotText: 'On hold' }).waitFor()
  await hears()
  await hangUp()
  trunkHeard(lost, back)
})

test('a call hung up while the connection is lost ends as soon as it is back', async () => {
  await callOut()
  const before = page.errors.length
  cable.unplug()
  await page.page.locator('.connection').waitFor()
  await page.press('Hang up')
  await page.call('ending')
  await cable.replug()
  await carrier.event('CALL_CLOSED')
  await page.noCall()
  await gateway.noCalls()
  page.errors.splice(before)
})

test('a call whose network has changed under it finds another way by itself', async () => {
  const detour = await Detour.to(mediaPort)
  await page.page.evaluate((port) => window.detour(port), detour.port)
  await callOut()
  await detour.move()
  const cut = since()
  await page.page.evaluate((port) => window.detour(port), detour.port)
  await gateway.until(() => page.listen(TRUNK, 1), ({ level, longestGap }) => Math.abs(level + 12) < 3 && longestGap <= 60, 40_000)
  const back = since()
  assert.ok(back - cut > 2, `the network was cut for ${back - cut} s`)
  await hears()
  await carrier.receives(64)
  await hangUp()
  detour.cut()
  await page.page.evaluate((port) => window.detour(port), mediaPort)
  // The carrier records what it is sent, and so knows nothing of the pause.
  const { level } = carrier.heard(AGENT)
  assert.ok(Math.abs(level + 12) < 3, `the agent, at the trunk: ${level} dB`)
})

test('a page that is loaded again returns to its call', async () => {
  await callOut()
  await reload()
  await page.registration('Ready')
  await page.page.locator('.lost-call', { hasText: `You were talking to ${CUSTOMER}.` }).waitFor()
  await page.screenshot('page-return')
  await page.press('Return to call')
  await page.call('connected')
  const back = since()
  await page.page.locator('.lost-call').waitFor({ state: 'detached' })
  assert.equal(await page.text('.call h2'), CUSTOMER)
  await hears()
  const ended = since()
  // What has come back can be lost again.
  await reload()
  await page.press('Return to call')
  await page.call('connected')
  await hears()
  await hangUp()
  trunkHeard(back, ended)
  assert.equal(await page.page.evaluate(() => sessionStorage.length), 0)
})

test('a page that is loaded again can hang up instead', async () => {
  await callOut()
  await reload()
  await page.page.locator('.lost-call').waitFor()
  await page.press('Hang up')
  await carrier.event('CALL_CLOSED')
  await page.page.locator('.lost-call').waitFor({ state: 'detached' })
  await gateway.noCalls()
  assert.equal(await page.page.evaluate(() => sessionStorage.length), 0)
})

test('a call that ended while the page was away cannot be returned to', async () => {
  await callOut()
  const before = page.errors.length
  page.page.once('dialog', (dialog) => dialog.accept())
  await page.page.goto(`${cable.origin}/openapi.json`)
  carrier.hangup()
  await carrier.event('CALL_CLOSED')
  await gateway.noCalls()
  await page.page.goBack()
  // What is not this page may have errors of its own.
  page.errors.splice(before)
  await page.notice(`Your call with ${CUSTOMER} has ended.`)
  await page.noCall()
  await page.page.locator('.lost-call').waitFor({ state: 'detached' })
  assert.equal(await page.page.evaluate(() => sessionStorage.length), 0)
})

test('another tab of the same agent is not offered a call that is still talked in', async () => {
  await callOut()
  const kept = await page.page.evaluate(() => JSON.stringify({ ...sessionStorage }))
  const copy = await AgentPage.open(browser, cable.origin)
  await copy.page.evaluate((kept) => Object.assign(sessionStorage, JSON.parse(kept)), kept)
  await copy.page.reload()
  await copy.page.waitForSelector('.sign-in')
  assert.equal(await copy.page.evaluate(() => sessionStorage.length), 0)
  assert.equal(await copy.page.locator('.lost-call').count(), 0)
  await copy.close()
  await hears()
  await hangUp()
})

test('a page that crashed leaves a call to any other that the agent opens, and to none that did not ask for it', async () => {
  const crashing = await AgentPage.open(browser, gateway.origin)
  await crashing.signIn(`1001@${gateway.realm}`, agent.password)
  await crashing.registration('Ready')
  await crashing.dial(CUSTOMER)
  await crashing.call('connected')
  await carrier.event('CALL_ESTABLISHED')
  begun = Date.now()
  await crash(crashing.page)
  const away = async () => (await gateway.api('GET', '/calls')).data.flatMap(({ legs }) => legs.filter((leg) => leg.away))
  await gateway.until(away, ({ length }) => length === 1)
  const fresh = await AgentPage.open(browser, gateway.origin)
  await fresh.signIn(`1001@${gateway.realm}`, agent.password)
  await fresh.page.locator('.lost-call', { hasText: `You were talking to ${CUSTOMER}.` }).waitFor()
  await fresh.press('Return to call')
  await fresh.call('connected')
  await fresh.page.locator('.lost-call').waitFor({ state: 'detached' })
  const back = since()
  await fresh.listen(TRUNK, SETTLE)
  assertHeard(await fresh.listen(TRUNK, 3), 'the customer, at the agent')
  const ended = since()
  await page.noCall()
  await fresh.press('Hang up')
  await carrier.event('CALL_CLOSED')
  trunkHeard(back, ended)
  assert.deepEqual(fresh.errors, [])
  await fresh.close()
})

test('a hold by the system is told, and the agent\'s own goes beside it', async () => {
  await callOut()
  const { id } = (await gateway.api('GET', '/calls')).data[0]
  const status = (text) => page.page.locator('.call-status', { hasText: text }).waitFor()
  await gateway.api('POST', `/calls/${id}/hold`, {})
  await status(/^On hold by the system · \d/)
  await page.screenshot('page-held-by-system')
  await page.press('Hold')
  await status(/^On hold by you and by the system · \d/)
  await gateway.api('POST', `/calls/${id}/resume`, {})
  await status(/^On hold · \d/)
  await page.press('Resume')
  await status(/^\d/)
  await hears()
  await gateway.api('POST', `/calls/${id}/hold`, {})
  await status(/^On hold by the system · \d/)
  await gateway.api('POST', `/calls/${id}/resume`, {})
  await status(/^\d/)
  await hears()
  await hangUp()
})

test('the page ran without an error', () => {
  assert.deepEqual(page.errors, [])
})
