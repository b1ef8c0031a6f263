// How browsers register, stay registered and go: seen on the wire, in the API and by who calls them.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { Browser } from '../lib/browser.mjs'
import { Cable } from '../lib/cable.mjs'
import { Gateway } from '../lib/gateway.mjs'
import { SipSocket, challengeOf, digest, register } from '../lib/websocket.mjs'

// SIP.js is told to refresh at half the time; JsSIP chooses a moment before the end itself.
const EXPIRES = 7
const SETTINGS = { REGISTRATION__MIN_EXPIRES_S: 1, REGISTRATION__DEFAULT_EXPIRES_S: EXPIRES, REGISTRATION__MAX_EXPIRES_S: EXPIRES }

let browser, gateway, caller

before(async () => {
  browser = await Browser.start()
  gateway = await Gateway.start({ origins: [browser.origin], settings: SETTINGS })
  caller = await browser.phone('jssip', gateway, await gateway.agent('300'), 440, EXPIRES)
  await caller.event('registered')
})

after(async () => {
  await browser?.stop()
  await gateway?.stop()
})

async function assertNotReachable(agent) {
  await caller.run('call', agent.number)
  assert.match(await caller.event('refused'), /^refused 480/)
}

describe('with the libraries', () => {
  for (const [index, library] of ['sipjs', 'jssip'].entries()) {
    test(`${library} refreshes before its time is up and keeps its binding`, async () => {
      const agent = await gateway.agent(`10${index}`)
      const phone = await browser.phone(library, gateway, agent, 440, EXPIRES)
      await phone.event('registered')
      const [binding] = await gateway.registrations(agent)
      const answers = await phone.frames('received', /^SIP\/2\.0 200 [^]*CSeq: \d+ REGISTER/, 2)
      const [refreshed] = await gateway.registrations(agent)
      assert.deepEqual([refreshed.id, refreshed.registered_at], [binding.id, binding.registered_at])
      assert.ok(refreshed.expires_at > binding.expires_at, `${refreshed.expires_at} after ${binding.expires_at}`)
      const numbers = answers.map((answer) => Number(/^CSeq: (\d+)/m.exec(answer)[1]))
      assert.ok(numbers[1] > numbers[0], `${numbers}`)
      for (const answer of answers) assert.match(answer, new RegExp(`^Contact: .*;expires=${EXPIRES}`, 'm'))
      await phone.close()
    })

    test(`a phone on ${library} that unregisters is 480 to who calls it`, async () => {
      const agent = await gateway.agent(`11${index}`)
      const phone = await browser.phone(library, gateway, agent)
      await phone.event('registered')
      assert.equal((await gateway.registrations(agent)).length, 1)
      await phone.run('unregister')
      await phone.event('unregistered')
      assert.deepEqual(await gateway.registrations(agent), [])
      await assertNotReachable(agent)
      await phone.close()
    })

    test(`a page on ${library} that dies is registered no longer`, async () => {
      const agent = await gateway.agent(`12${index}`)
      const phone = await browser.phone(library, gateway, agent)
      await phone.event('registered')
      await phone.crash()
      await gateway.registered(agent, 0)
      await assertNotReachable(agent)
    })

    test(`one phone on ${library} more than allowed takes the place of the oldest`, async () => {
      const agent = await gateway.agent(`13${index}`)
      await gateway.api('PATCH', `/extensions/${agent.extensionId}`, { max_contacts: 2, on_limit: 'replace_oldest' })
      const phones = []
      for (let number = 0; number < 3; number++) {
        phones.push(await browser.phone(library, gateway, agent))
        await phones[number].event('registered')
      }
      assert.equal((await gateway.registrations(agent)).length, 2)
      await caller.run('call', agent.number)
      await Promise.all([phones[1].event('incoming'), phones[2].event('incoming')])
      await caller.run('hangup')
      await Promise.all([phones[1].event('cancelled'), phones[2].event('cancelled')])
      assert.equal(phones[0].wire.filter((frame) => /^INVITE /.test(frame.text)).length, 0)
      for (const phone of phones) await phone.close()
    })
  }

  test('a connection that breaks ends the registration, and JsSIP comes back by itself', async () => {
    const cable = await Cable.plug(gateway.origin)
    const agent = await gateway.agent('150')
    const phone = await browser.phone('jssip', { ...gateway, socket: cable.origin.replace('https', 'wss') + '/sip' }, agent)
    await phone.event('registered')
    cable.unplug()
    await gateway.registered(agent, 0)
    await assertNotReachable(agent)
    await cable.replug()
    await phone.event('registered')
    await caller.run('call', agent.number)
    await phone.event('incoming')
    await caller.run('hangup')
    await phone.event('cancelled')
    await phone.close()
    cable.unplug()
  })

  test('SIP.js keeps its connection alive with CRLFs, which are answered', async () => {
    const phone = await browser.phone('sipjs', gateway, await gateway.agent('140'))
    await phone.frames('sent', /^\r\n\r\n$/, 2)
    await phone.frames('received', /^\r\n$/, 2)
    await phone.close()
  })

  test('a page of a foreign origin cannot open the WebSocket', async () => {
    const page = await browser.context.newPage()
    const open = (origin) => page.goto(origin).then(() => page.evaluate((url) => new Promise((done) => {
      const socket = new WebSocket(url, 'sip')
      socket.onopen = () => done('open')
      socket.onerror = () => done('refused')
    }), gateway.socket))
    assert.equal(await open(browser.origin), 'open')
    assert.equal(await open(browser.origin.replace('localhost', '127.0.0.1')), 'refused')
    assert.equal(await SipSocket.open(gateway.socket, { origin: 'https://evil.example' }), 403)
    await page.close()
  })
})

describe('on the wire', () => {
  test('a nonce serves every refresh, each time with the next count, and no count twice', async () => {
    const agent = await gateway.agent('200')
    const socket = await SipSocket.open(gateway.socket)
    const contact = { number: agent.number, realm: gateway.realm, instance: 'wire', expires: EXPIRES }
    socket.send(register({ ...contact, cseq: 1 }))
    const challenge = await socket.next()
    assert.match(challenge, /^SIP\/2\.0 401 /)
    // SHA-256 is offered first, MD5 last (RFC 8760).
    assert.deepEqual(challenge.match(/algorithm=[\w-]+/g), ['algorithm=SHA-256', 'algorithm=MD5'])
    const credentials = { ...agent, ...challengeOf(challenge) }
    const [first, second] = [digest({ ...credentials, count: 1 }), digest({ ...credentials, count: 2 })]
    socket.send(register({ ...contact, cseq: 2, authorization: first }))
    assert.match(await socket.next(), /^SIP\/2\.0 200 /)
    socket.send(register({ ...contact, cseq: 3, authorization: second }))
    assert.match(await socket.next(), /^SIP\/2\.0 200 /)
    socket.send(register({ ...contact, cseq: 4, authorization: second }))
    assert.match(await socket.next(), /^SIP\/2\.0 401 /)
    assert.equal((await gateway.registrations(agent)).length, 1)
    socket.break()
    await gateway.registered(agent, 0)
  })

  test('who does not refresh is registered no longer when the time is up', async () => {
    const agent = await gateway.agent('201')
    const socket = await SipSocket.open(gateway.socket)
    const contact = { number: agent.number, realm: gateway.realm, instance: 'short', expires: 1 }
    socket.send(register({ ...contact, cseq: 1 }))
    const challenge = await socket.next()
    const credentials = { ...agent, ...challengeOf(challenge), count: 1 }
    socket.send(register({ ...contact, cseq: 2, authorization: digest(credentials) }))
    assert.match(await socket.next(), /^SIP\/2\.0 200 [^]*;expires=1\r$/m)
    assert.equal((await gateway.registrations(agent)).length, 1)
    await gateway.registered(agent, 0)
    socket.break()
  })
})
