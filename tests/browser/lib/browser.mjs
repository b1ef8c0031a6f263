// A real Chromium with pages that phone: SIP.js or JsSIP with an oscillator as microphone and a recorder as ear.

import { createServer } from 'node:http'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

import { build } from 'esbuild'
import { chromium } from 'playwright-core'

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--use-fake-ui-for-media-stream',
  '--use-fake-device-for-media-stream', '--autoplay-policy=no-user-gesture-required', '--allow-loopback-in-peer-connection', '--ignore-certificate-errors'
]

export class Browser {
  static async start() {
    const page = resolve(import.meta.dirname, '../page/main.ts')
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
    return new Browser(server, context, profile)
  }

  constructor(server, context, profile) {
    Object.assign(this, { server, context, profile })
    this.origin = `http://localhost:${server.address().port}`
  }

  // A page signed in as an agent; `library` is 'sipjs' or 'jssip', `tone` the frequency of its microphone in Hz.
  async phone(library, gateway, agent, tone = 440) {
    const page = await this.context.newPage()
    page.on('pageerror', (error) => console.error('page error:', error.message))
    await page.goto(this.origin)
    const phone = new Phone(page, library)
    await phone.run('start', {
      library, socket: gateway.socket, realm: gateway.realm, number: agent.number, password: agent.password, tone
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
    Object.assign(this, { page, library })
  }

  // Calls a function of the page's phone.
  run(name, ...args) {
    return this.page.evaluate(([name, args]) => window.phone[name](...args), [name, args])
  }

  // Waits until the phone has told an event that begins with `wanted`, since the last wait; gives its text.
  async event(wanted, timeout = 20_000) {
    return this.page.evaluate(([wanted, timeout]) => window.phone.event(wanted, timeout), [wanted, timeout])
  }

  close() {
    return this.page.close()
  }
}
