// Calls that need no trunk: agent to agent with Opus relayed, and the echo test.

import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'

import { Browser } from '../lib/browser.mjs'
import { Gateway } from '../lib/gateway.mjs'
import { assertHeard } from '../lib/hearing.mjs'

// Tones that nothing which went through the 8 kHz of a telephone would have left over.
const [ALICE, BOB] = [5300, 6700]

for (const [caller, callee] of [['sipjs', 'jssip'], ['jssip', 'sipjs']]) {
  describe(`calls inside, ${caller} to ${callee}`, () => {
    let browser, gateway, alice, bob

    before(async () => {
      browser = await Browser.start()
      gateway = await Gateway.start({ origins: [browser.origin] })
      alice = await browser.phone(caller, gateway, await gateway.agent('1001'), ALICE)
      bob = await browser.phone(callee, gateway, await gateway.agent('1002'), BOB)
      await alice.event('registered')
      await bob.event('registered')
    })

    after(async () => {
      await browser?.stop()
      await gateway?.stop()
    })

    afterEach(() => gateway.hangUp())

    async function callBob() {
      await alice.run('call', '1002')
      assert.equal(await bob.event('incoming'), 'incoming 1001')
      await bob.run('answer')
      await Promise.all([alice.event('established'), bob.event('established')])
      await Promise.all([alice.run('listen', BOB, 1.5), bob.run('listen', ALICE, 1.5)])
    }

    test('two agents hear each other in Opus, which is relayed as it is', async () => {
      await callBob()
      const [atAlice, atBob] = await Promise.all([alice.run('listen', BOB, 10), bob.run('listen', ALICE, 10)])
      assertHeard(atAlice, 'at alice')
      assertHeard(atBob, 'at bob')
      const { data } = await gateway.api('GET', '/calls')
      assert.deepEqual(data.map((call) => call.legs.map((leg) => leg.codec)), [['opus', 'opus']])
      await bob.run('hangup')
      await alice.event('bye')
    })

    test('keys one agent presses are heard by the other, once and in order', async () => {
      await callBob()
      const [heard] = await Promise.all([bob.run('listenForDigits', 1.5), alice.run('digits', '73#', 120)])
      assert.equal(heard.map(({ digit }) => digit).join(''), '73#')
      // Chromium sounds a key on for up to 70 ms while it waits for news of it.
      for (const { digit, ms } of heard) assert.ok(ms >= 100 && ms <= 210, `${digit} sounded for ${ms} ms`)
      await alice.run('hangup')
      await bob.event('bye')
    })

    test('a colleague who rejects is busy, one who is not there is 480', async () => {
      await alice.run('call', '1002')
      await bob.event('incoming')
      await bob.run('reject')
      assert.match(await alice.event('refused'), /^refused 486/)
      await gateway.agent('1003')
      await alice.run('call', '1003')
      assert.match(await alice.event('refused'), /^refused 480/)
    })

    test('the echo test gives the agent its own voice back, and an operator hangs up', async () => {
      await alice.run('call', '9196')
      await alice.event('established')
      await alice.run('listen', ALICE, 1.5)
      assertHeard(await alice.run('listen', ALICE, 5), 'echo')
      const { data } = await gateway.api('GET', '/calls')
      await gateway.api('POST', `/calls/${data[0].id}/hangup`)
      await alice.event('bye')
      await gateway.noCalls()
    })

    test('a wrong secret is refused, and a number nobody has is 404', async () => {
      const stranger = await browser.phone(caller, gateway, { number: '1001', password: 'not the secret' })
      await stranger.event('register refused')
      await alice.run('call', '7777')
      assert.match(await alice.event('refused'), /^refused 404 .*Q\.850;cause=1/)
      await stranger.close()
    })
  })
}
