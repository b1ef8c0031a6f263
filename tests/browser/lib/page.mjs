// The gateway's own page in a real Chromium, used as an agent uses it: by what stands on it.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { build } from 'esbuild'

const RESULTS = fileURLToPath(new URL('../results', import.meta.url))

export class AgentPage {
  // `microphone` is 'tone', 'missing', or 'asked for': then the page gets it when the test calls `window.grant()`.
  static async open(browser, origin, { microphone = 'tone' } = {}) {
    const page = await browser.context.newPage()
    const errors = []
    page.on('pageerror', (error) => errors.push(error.message))
    page.on('console', (message) => {
      // That a request is answered with a challenge first is how digest works, and the browser's console calls it an error.
      if (message.type() === 'error' && !message.text().includes('status of 401')) errors.push(message.text())
    })
    await page.setViewportSize({ width: 480, height: 720 })
    await page.addInitScript({ content: microphone === 'tone' ? await eavesdropper() : MICROPHONES[microphone] })
    await page.goto(origin)
    return new AgentPage(page, errors)
  }

  constructor(page, errors) {
    Object.assign(this, { page, errors })
  }

  async signIn(address, secret) {
    await this.page.fill('input[name=address]', address)
    await this.page.fill('input[name=secret]', secret)
    await this.page.click('text=Sign in')
  }

  // Waits until the registration's text matches.
  registration(text) {
    return this.page.locator('.registration-state', { hasText: text }).waitFor()
  }

  notice(text) {
    return this.page.locator('.notice', { hasText: text }).waitFor()
  }

  // Waits until a call is in this state, such as 'connected'.
  call(state) {
    return this.page.locator(`.call[data-state="${state}"]`).waitFor()
  }

  noCall() {
    return this.page.locator('form.dial').waitFor()
  }

  async dial(number) {
    await this.page.fill('input[name=number]', number)
    await this.page.click('.call-button')
  }

  // Chooses a number in the dialog behind a button, 'Transfer' or 'Add', and what to do with it.
  async ask(button, number, answer) {
    await this.press(button)
    await this.page.fill('.people-dialog input', number)
    await this.page.locator('.people-dialog').getByRole('button', { name: answer, exact: true }).click()
    await this.page.locator('.people-dialog').waitFor({ state: 'detached' })
  }

  // Waits until the call that is not talked in is in this state, such as 'connected'.
  otherCall(state) {
    return this.page.locator(`.other-call[data-state="${state}"]`).waitFor()
  }

  noOtherCall() {
    return this.page.locator('.other-call').waitFor({ state: 'detached' })
  }

  press(name) {
    return this.page.getByRole('button', { name, exact: true }).click()
  }

  text(selector) {
    return this.page.locator(selector).innerText()
  }

  listen(frequency, seconds) {
    return this.page.evaluate(([frequency, seconds]) => window.sound.listen(frequency, seconds), [frequency, seconds])
  }

  levels(frequencies, seconds) {
    return this.page.evaluate(([frequencies, seconds]) => window.sound.levels(frequencies, seconds), [frequencies, seconds])
  }

  screenshot(name, colorScheme = 'light') {
    mkdirSync(RESULTS, { recursive: true })
    return this.page.emulateMedia({ colorScheme }).then(() => this.page.screenshot({ path: join(RESULTS, `${name}.png`) }))
  }

  close() {
    return this.page.close({ runBeforeUnload: false })
  }
}

const MICROPHONES = {
  missing: `navigator.mediaDevices.getUserMedia = async () => {
    throw new DOMException('Requested device not found', 'NotFoundError')
  }`,
  'asked for': `navigator.mediaDevices.getUserMedia = () => new Promise((done) => {
    window.microphone = new AudioContext().createMediaStreamDestination().stream
    window.grant = () => done(window.microphone)
  })`
}

async function eavesdropper() {
  const entry = fileURLToPath(new URL('../page/eavesdrop.ts', import.meta.url))
  const bundle = await build({ entryPoints: [entry], bundle: true, format: 'iife', write: false, target: 'es2022' })
  return bundle.outputFiles[0].text
}
