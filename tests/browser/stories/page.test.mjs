// The page that comes with the gateway: an agent signs in, phones, and is told what is wrong.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { Baresip } from '../lib/baresip.mjs'
import { Browser } from '../lib/browser.mjs'
import { Cable } from '../lib/cable.mjs'
import { Gateway } from '../lib/gateway.mjs'
import { assertHeard } from '../lib/hearing.mjs'
import { AgentPage } from '../lib/page.mjs'

const CUSTOMER = '+4930123456'
const OURS = '+4930555000'

let browser, gateway, cable, carrier, agent, page

before(async () => {
  browser = await Browser.start()
  gateway = await Gateway.start()
  carrier = await Baresip.start({ number: CUSTOMER, frequency: 1000 })
  agent = await gateway.agent('1001', { caller_id_number: OURS })
  const trunk = await gateway.trunk(carrier.sipPort)
  await gateway.api('POST', '/numbers', {
    e164: OURS, trunk_id: trunk.id, target: { type: 'extension', id: agent.extensionId }
  })
  cable = await Cable.plug(gateway.origin)
  page = await AgentPage.open(browser, cable.origin)
})

after(async () => {
  await browser?.stop()
  cable?.unplug()
  await carrier?.stop()
  await gateway?.stop()
})

test('a wrong secret is told, and the page can be used again', async () => {
  await page.screenshot('page-sign-in')
  await page.signIn(`sip:1001@${gateway.realm}`, 'not the secret')
  await page.notice('The address or the secret is wrong.')
  await page.page.waitForSelector('.sign-in')
})

test('an agent signs in with address and secret', async () => {
  await page.signIn(`sip:1001@${gateway.realm}`, agent.password)
  await page.registration('Ready')
  assert.equal((await gateway.api('GET', '/calls')).data.length, 0)
  await page.screenshot('page-ready')
})

test('the echo test: the agent hears its own voice, sees the level and the time', async () => {
  await page.dial('9196')
  await page.call('connected')
  await page.listen(440, 1.5)
  assertHeard(await page.listen(440, 5), 'echo')
  const level = await page.page.locator('.microphone meter').evaluate((meter) => meter.value)
  // A sine at -12 dB has a power of -15 dB: 0.83 of the scale from -60 to -6.
  assert.ok(Math.abs(level - 0.83) < 0.1, `level ${level}`)
  assert.match(await page.text('.call-status'), /^0:0[6-9]$|^0:[1-5]\d$/)
  await page.press('Mute')
  await page.listen(440, 0.5)
  const muted = await page.listen(440, 1)
  assert.ok(muted.level < -50, `muted: ${JSON.stringify(muted)}`)
  await page.screenshot('page-call', 'dark')
  await page.press('Unmute')
  await page.listen(440, 0.5)
  assertHeard(await page.listen(440, 1), 'after unmuting')
  await page.press('Hang up')
  await page.noCall()
  await page.page.locator('.notice').waitFor({ state: 'detached' })
})

test('a customer phones in, is answered, heard, and hangs up', async () => {
  carrier.dial(`sip:${OURS}@127.0.0.1:${gateway.sipPort}`)
  await page.call('incoming')
  assert.equal(await page.text('.call h2'), CUSTOMER)
  await page.page.waitForFunction((number) => document.title.includes(number), CUSTOMER)
  await page.screenshot('page-incoming')
  await page.press('Answer')
  await page.call('connected')
  await carrier.event('CALL_ESTABLISHED')
  await page.listen(1000, 1.5)
  assertHeard(await page.listen(1000, 3), 'the customer')
  carrier.hangup()
  await carrier.event('CALL_CLOSED')
  await page.noCall()
  await page.notice('The other side hung up.')
})

test('a customer who is rejected hears busy, one who gives up leaves a notice', async () => {
  carrier.dial(`sip:${OURS}@127.0.0.1:${gateway.sipPort}`)
  await page.call('incoming')
  await page.press('Reject')
  assert.match((await carrier.event('CALL_CLOSED')).param, /486/)
  await page.noCall()
  carrier.dial(`sip:${OURS}@127.0.0.1:${gateway.sipPort}`)
  await page.call('incoming')
  await carrier.event('CALL_RINGING')
  carrier.hangup()
  await carrier.event('CALL_CLOSED')
  await page.notice('The caller hung up.')
})

test('digits pressed on the pad and on the keyboard are shown', async () => {
  await page.dial(CUSTOMER)
  await page.call('connected')
  await page.page.click('.keypad [data-key="5"]')
  await page.page.keyboard.press('#')
  assert.equal(await page.text('.digits'), '5#')
  await page.press('Hang up')
  await carrier.event('CALL_CLOSED')
})

test('a customer put on hold gets music, the agent hears nothing, and afterwards they hear each other again', async () => {
  await page.dial(CUSTOMER)
  await page.call('connected')
  await carrier.event('CALL_ESTABLISHED')
  const begun = Date.now()
  const since = () => (Date.now() - begun) / 1000
  const hears = (ours, theirs) => {
    const read = async () => (await gateway.api('GET', '/calls')).data[0]?.legs.map((leg) => leg.hears)
    return gateway.until(read, (legs) => legs?.[0] === ours && legs[1] === theirs)
  }
  await hears('party', 'party')
  await page.press('Hold')
  await page.page.locator('.call-status', { hasText: 'On hold' }).waitFor()
  await hears('nothing', 'music')
  await page.screenshot('page-hold')
  await page.listen(1000, 1)
  const silent = await page.listen(1000, 2)
  assert.ok(silent.level < -50, `on hold: ${JSON.stringify(silent)}`)
  const resumed = since()
  await page.press('Resume')
  await hears('party', 'party')
  await page.listen(1000, 1.5)
  assertHeard(await page.listen(1000, 2), 'after the hold')
  await page.press('Hang up')
  await carrier.event('CALL_CLOSED')
  assertHeard(carrier.heard(440, resumed + 1.5), 'the agent, at the customer, after the hold')
})

test('an agent hands a customer over, and gets the call back when nobody takes it', async () => {
  carrier.dial(`sip:${OURS}@127.0.0.1:${gateway.sipPort}`)
  await page.call('incoming')
  await page.press('Answer')
  await page.call('connected')
  await carrier.event('CALL_ESTABLISHED')
  const begun = Date.now()
  await page.press('Transfer')
  await page.page.fill('input[name=transfer]', '7777')
  await page.screenshot('page-transfer')
  await page.press('Transfer now')
  await page.notice('7777 did not take the call: This number does not exist.')
  await page.call('connected')
  await page.listen(1000, 1.5)
  assertHeard(await page.listen(1000, 2), 'the customer, who came back')
  await page.press('Transfer')
  await page.page.fill('input[name=transfer]', '9196')
  await page.press('Transfer now')
  await page.notice('The call was handed on.')
  await page.noCall()
  const handedOn = (Date.now() - begun) / 1000
  // The agent's phone is quiet; the customer goes on and hears itself.
  await page.listen(1000, 4)
  const end = (Date.now() - begun) / 1000
  carrier.hangup()
  await carrier.event('CALL_CLOSED')
  assertHeard(carrier.heard(1000, handedOn + 1, end - 0.5), 'the customer, in the echo test')
})

test('a number nobody has is told in words', async () => {
  await page.dial('7777')
  await page.notice('This number does not exist.')
  await page.noCall()
})

test('a missing microphone is told before a call is made, and an incoming call goes on ringing', async () => {
  const mute = await AgentPage.open(browser, gateway.origin, { microphone: 'missing' })
  const other = await gateway.agent('1002')
  await mute.signIn(`1002@${gateway.realm}`, other.password)
  await mute.registration('Ready')
  await mute.dial('9196')
  await mute.notice('No microphone was found.')
  await mute.noCall()
  await mute.screenshot('page-no-microphone')
  await page.dial('1002')
  await mute.call('incoming')
  await mute.press('Answer')
  await mute.notice('No microphone was found.')
  await mute.call('incoming')
  await page.press('Hang up')
  await mute.notice('The caller hung up.')
  await mute.close()
})

test('a call given up while the browser asks for the microphone leaves no microphone open', async () => {
  const asked = await AgentPage.open(browser, gateway.origin, { microphone: 'asked for' })
  const other = await gateway.agent('1003')
  await asked.signIn(`1003@${gateway.realm}`, other.password)
  await asked.registration('Ready')
  await asked.dial('9196')
  await asked.call('calling')
  await asked.press('Hang up')
  await asked.noCall()
  await asked.page.evaluate(() => window.grant())
  await asked.page.waitForFunction(() => window.microphone.getTracks().every((track) => track.readyState === 'ended'))
  await gateway.noCalls()
  await asked.close()
})

test('a lost connection is told, and the phone comes back by itself', async () => {
  const before = page.errors.length
  cable.unplug()
  await page.registration('Trying again')
  await cable.replug()
  await page.registration('Ready')
  // What the browser itself says about a lost connection is no mistake of the page.
  page.errors.splice(before)
  await page.dial('9196')
  await page.call('connected')
  await page.press('Hang up')
  await page.noCall()
})

test('signing out unregisters', async () => {
  await page.press('Sign out')
  await page.page.waitForSelector('.sign-in')
  carrier.dial(`sip:${OURS}@127.0.0.1:${gateway.sipPort}`)
  assert.match((await carrier.event('CALL_CLOSED')).param, /480/)
})

test('the page ran without an error', () => {
  assert.deepEqual(page.errors, [])
})
