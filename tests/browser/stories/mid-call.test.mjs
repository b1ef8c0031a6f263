// What is lost in the middle of a call: the page, the microphone, the connection. The call goes on, or ends as it should.

import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'

import { Baresip } from '../lib/baresip.mjs'
import { Browser } from '../lib/browser.mjs'
import { Cable } from '../lib/cable.mjs'
import { Detour } from '../lib/detour.mjs'
import { Gateway } from '../lib/gateway.mjs'
import { assertHeard } from '../lib/hearing.mjs'
import { AgentPage } from '../lib/page.mjs'
import { freeUdpPort } from '../lib/ports.mjs'

const CUSTOMER = '+4930123456'
// Seconds without media that end a call.
const SILENCE = 2

let browser, gateway, carrier

before(async () => {
  browser = await Browser.start()
  gateway = await Gateway.start({ origins: [browser.origin], settings: { MEDIA__SILENCE_TIMEOUT_S: SILENCE } })
  carrier = await Baresip.start({ number: CUSTOMER, frequency: 1000 })
  await gateway.trunk(carrier.sipPort)
})

after(async () => {
  await browser?.stop()
  await carrier?.stop()
  await gateway?.stop()
})

afterEach(() => gateway.hangUp())

for (const [index, library] of ['sipjs', 'jssip'].entries()) {
  describe(`in the middle of a call with ${library}`, () => {
    let phone

    before(async () => {
      phone = await browser.phone(library, gateway, await gateway.agent(`10${index}`))
      await phone.event('registered')
    })

    async function call() {
      await phone.run('call', CUSTOMER)
      await phone.event('established')
      await carrier.event('CALL_ESTABLISHED')
    }

    test('an agent who is muted for longer than that is not taken for dead', async () => {
      await call()
      await phone.run('mute', true)
      assertHeard(await phone.run('listen', 1000, SILENCE + 2), 'while muted')
      await phone.run('mute', false)
      await phone.run('listen', 1000, 2)
      await phone.run('hangup')
      await carrier.event('CALL_CLOSED')
      const heard = carrier.heard(440)
      assert.ok(heard.longestGap > SILENCE * 1000 && heard.longestGap < heard.seconds * 1000 - 1000, JSON.stringify(heard))
    })

    test('a page that dies is hung up on, and so is the customer', async () => {
      await call()
      await phone.run('listen', 1000, 1)
      await phone.crash()
      await carrier.event('CALL_CLOSED')
      await gateway.noCalls()
    })
  })
}

describe('a connection that is lost and comes back in the middle of a call', () => {
  let cable

  before(async () => {
    cable = await Cable.plug(gateway.origin)
  })

  after(() => cable.unplug())

  for (const [index, library] of ['sipjs', 'jssip'].entries()) {
    // A call whose WebSocket breaks after a while and comes back; each heard the other all the time.
    async function cutAndBack(number) {
      const wires = { ...gateway, socket: cable.origin.replace('https', 'wss') + '/sip' }
      const phone = await browser.phone(library, wires, await gateway.agent(number))
      await phone.event('registered')
      await phone.run('call', CUSTOMER)
      await phone.event('established')
      await carrier.event('CALL_ESTABLISHED')
      await phone.run('listen', 1000, 1.5)
      assertHeard(await phone.run('listen', 1000, 1), 'before')
      cable.unplug()
      assertHeard(await phone.run('listen', 1000, 3), 'without a connection')
      await cable.replug()
      await phone.event('registered')
      assertHeard(await phone.run('listen', 1000, 1), 'afterwards')
      return phone
    }

    test(`leaves the sound alone, and an agent with ${library} hangs up over the new one`, async () => {
      const phone = await cutAndBack(`11${index}`)
      await phone.run('hangup')
      await carrier.event('CALL_CLOSED')
      assertHeard(carrier.heard(440), 'the customer')
      await gateway.noCalls()
      await phone.close()
    })

    test(`is no obstacle to a customer who hangs up: an agent with ${library} is told over the new one`, async () => {
      const phone = await cutAndBack(`12${index}`)
      carrier.hangup()
      await phone.event('bye')
      await phone.event('ended')
      assertHeard(carrier.heard(440), 'the customer')
      await gateway.noCalls()
      await phone.close()
    })

    test(`is no obstacle to a hold: an agent with ${library} is asked over the new one`, async () => {
      const phone = await cutAndBack(`13${index}`)
      const [{ id }] = (await gateway.api('GET', '/calls')).data
      await gateway.api('POST', `/calls/${id}/hold`)
      await phone.frames('received', /^INVITE [^]*a=(sendonly|inactive)/, 1)
      await phone.frames('sent', /^SIP\/2\.0 200 [^]*CSeq: \d+ INVITE/, 1)
      await gateway.api('POST', `/calls/${id}/resume`)
      await phone.frames('received', /^ACK /, 2)
      await phone.run('listen', 1000, 1.5)
      assertHeard(await phone.run('listen', 1000, 1), 'after the hold')
      await phone.run('hangup')
      await carrier.event('CALL_CLOSED')
      await phone.close()
    })

    test(`is no obstacle to a transfer: an agent with ${library} hands its customer on over the new one`, async () => {
      const colleague = await browser.phone(library === 'sipjs' ? 'jssip' : 'sipjs', gateway, await gateway.agent(`16${index}`), 620)
      await colleague.event('registered')
      const phone = await cutAndBack(`17${index}`)
      await phone.run('refer', `16${index}`)
      await phone.event('referred 202')
      await colleague.event('incoming')
      await phone.event('notified 180')
      await colleague.run('answer')
      await colleague.event('established')
      await phone.event('notified 200')
      await phone.event('bye Q.850;cause=16;text="Call transferred"')
      await phone.event('ended')
      await colleague.run('listen', 1000, 1.5)
      assertHeard(await colleague.run('listen', 1000, 2), 'the customer, at the colleague')
      await colleague.run('hangup')
      await carrier.event('CALL_CLOSED')
      const { seconds } = carrier.heard(620, 0)
      assertHeard(carrier.heard(620, seconds - 2.5, seconds - 0.5), 'the colleague, at the customer')
      const left = carrier.level(440, seconds - 2.5, seconds - 0.5)
      assert.ok(left < -40, `the agent, at the customer afterwards: ${left} dB`)
      await gateway.noCalls()
      await colleague.close()
      await phone.close()
    })

    test(`tells an agent with ${library} who comes back that the customer hung up meanwhile`, async () => {
      const wires = { ...gateway, socket: cable.origin.replace('https', 'wss') + '/sip' }
      const phone = await browser.phone(library, wires, await gateway.agent(`14${index}`))
      await phone.event('registered')
      await phone.run('call', CUSTOMER)
      await phone.event('established')
      await carrier.event('CALL_ESTABLISHED')
      cable.unplug()
      carrier.hangup()
      await gateway.noCalls()
      await cable.replug()
      await phone.event('bye')
      await phone.event('ended')
      await phone.close()
    })
  }

  test('leaves the call on the page, where the agent hangs up', async () => {
    const agent = await gateway.agent('150')
    const page = await AgentPage.open(browser, cable.origin)
    await page.signIn(`150@${gateway.realm}`, agent.password)
    await page.registration('Ready')
    await page.dial(CUSTOMER)
    await page.call('connected')
    await carrier.event('CALL_ESTABLISHED')
    cable.unplug()
    await page.registration('Trying again')
    await page.call('connected')
    await cable.replug()
    await page.registration('Ready')
    await page.listen(1000, 1)
    assertHeard(await page.listen(1000, 1), 'on the page')
    await page.press('Hang up')
    await carrier.event('CALL_CLOSED')
    await page.noCall()
    await page.close()
  })
})

describe('a network that changes in the middle of a call', () => {
  let patient, mediaPort, cable

  before(async () => {
    mediaPort = await freeUdpPort()
    patient = await Gateway.start({ origins: [browser.origin], settings: { MEDIA__BROWSER_PORTS: mediaPort } })
    await patient.trunk(carrier.sipPort)
    cable = await Cable.plug(patient.origin)
  })

  after(async () => {
    cable?.unplug()
    await patient?.stop()
  })

  for (const [index, library] of ['sipjs', 'jssip'].entries()) {
    test(`is mended with ${library} by an ICE restart over the new connection`, async () => {
      const detour = await Detour.to(mediaPort)
      const wires = { ...patient, socket: cable.origin.replace('https', 'wss') + '/sip' }
      const phone = await browser.phone(library, wires, await patient.agent(`10${index}`))
      await phone.event('registered')
      await phone.run('detour', detour.port)
      await phone.run('call', CUSTOMER)
      await phone.event('established')
      await carrier.event('CALL_ESTABLISHED')
      await phone.run('listen', 1000, 1.5)
      assertHeard(await phone.run('listen', 1000, 1), 'on the first network')
      cable.unplug()
      detour.cut()
      const lost = await phone.run('listen', 1000, 3)
      assert.ok(lost.longestGap > 1500, `between the networks: ${JSON.stringify(lost)}`)
      await detour.move()
      await phone.run('detour', detour.port)
      await cable.replug()
      await phone.event('registered')
      await phone.run('restartIce')
      await phone.event('changed')
      await phone.run('listen', 1000, 2)
      assertHeard(await phone.run('listen', 1000, 1), 'on the second network')
      await carrier.receives(64)
      carrier.hangup()
      await phone.event('bye')
      await carrier.event('CALL_CLOSED')
      const { level } = carrier.heard(440)
      assert.ok(Math.abs(level + 12) < 3, `the customer: ${level}`)
      detour.cut()
      await phone.close()
    })
  }
})
