// A real Chromium with pages that phone: SIP.js or JsSIP with an oscillator as microphone and a recorder as ear.

import { createServer } from 'node:http'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { build } from 'esbuild'
import { chromium } from 'playwright-core'

import { Bell } from './bell.mjs'
import { preferSessions } from './priority.mjs'

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--use-fake-ui-for-media-stream',
  '--use-fake-device-for-media-stream', '--autoplay-policy=no-user-gesture-required', '--allow-loopback-in-peer-connection', '--ignore-certificate-errors'
]

export class Browser {
  static async start() {
    const page = fileURLToPath(new URL('../page/main.ts', import.meta.url))
    const bundle = await build({ entryPoints: [page], bundle: true, format: 'iife', write: false, target: 'es2022' })
    const script = bundle.outputFiles[0].text
    const server = createServer((request, response) => {
      const isScript = request.url === '/main.js'
      response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
      response.end(isScript ? script : '<!doctype html><title>phone</title><script src="/main.js"></script>')
    })
    await new Promise((done) => server.listen(0, '127.0.0.1', done))
    const profile = mkdtempSync(join(tmpdir(), 'patchcord-chromium-'))
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, args: FLAGS, ignoreHTTPSErrors: true
    })
    preferSessions()
    return new Browser(server, context, profile)
  }

  constructor(server, context, profile) {
    Object.assign(this, { server, context, profile })
    this.origin = `http://localhost:${server.address().port}`
  }

  // A page signed in as an agent; `library` is 'sipjs' or 'jssip', `tone` the frequency of its microphone in Hz, `expires` the seconds
  // it asks to be registered for.
  async phone(library, gateway, agent, tone = 440, expires = 300) {
    const page = await this.context.newPage()
    page.on('pageerror', (error) => console.error('page error:', error.message))
    const phone = new Phone(page, library)
    page.on('websocket', (socket) => {
      socket.on('framesent', ({ payload }) => phone.told('sent', payload))
      socket.on('framereceived', ({ payload }) => phone.told('received', payload))
    })
    await page.goto(this.origin)
    await phone.run('start', {
      library, socket: gateway.socket, realm: gateway.realm, number: agent.number, password: agent.password, tone, expires
    })
    return phone
  }

  async stop() {
    await this.context.close()
    this.server.close()
    rmSync(this.profile, { recursive: true, force: true })
  }
}

export class Phone {
  constructor(page, library) {
    Object.assign(this, { page, library, wire: [], bell: new Bell() })
  }

  told(direction, payload) {
    this.wire.push({ direction, text: payload.toString() })
    this.bell.ring()
  }

  // Waits until so many of the frames of a direction ('sent' or 'received') match; gives their texts.
  frames(direction, pattern, count = 1, timeout = 20_000) {
    return this.bell.until(() => {
      const found = this.wire.filter((frame) => frame.direction === direction && pattern.test(frame.text))
      return found.length < count ? undefined : found.map((frame) => frame.text)
    }, timeout, () => `no ${count} frames ${direction} match ${pattern}: ${JSON.stringify(this.wire)}`)
  }

  // Calls a function of the page's phone, which nothing keeps busy for a minute.
  run(name, ...args) {
    let alarm
    const late = new Promise((_, failed) => {
      alarm = setTimeout(() => failed(new Error(`the page is still at ${name}(${args.join(', ')})`)), 60_000)
    })
    const done = this.page.evaluate(([name, args]) => window.phone[name](...args), [name, args])
    return Promise.race([done, late]).finally(() => clearTimeout(alarm))
  }

  // Waits until the phone has told an event that begins with `wanted`, since the last wait; gives its text.
  async event(wanted, timeout = 20_000) {
    return this.page.evaluate(([wanted, timeout]) => window.phone.event(wanted, timeout), [wanted, timeout])
  }

  close() {
    return this.page.close()
  }

  crash() {
    return crash(this.page)
  }
}

// Has a page die without a word: closing it would run what it does at its end.
export async function crash(page) {
  const session = await page.context().newCDPSession(page)
  session.send('Page.crash').catch(() => undefined)
  await new Promise((done) => page.once('crash', done))
}
