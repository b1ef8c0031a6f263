// SIPp as the trunk: one call of a scenario of sipp/, and SIPp's own verdict on every message of it.

import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { freeUdpPort } from './ports.mjs'

const SCENARIOS = fileURLToPath(new URL('../sipp', import.meta.url))

export class Sipp {
  // `keys` fill in [keywords] of the scenario beside SIPp's own. With `call`, {number, port}, SIPp calls that number at that port; without, it
  // waits for a call at `port`; in all it has so many seconds. `resends: false` leaves it to the scenario to send things again and to notice
  // what comes again.
  static async start(scenario, { port, keys = {}, call, seconds = 30, resends = true } = {}) {
    const folder = mkdtempSync(join(tmpdir(), 'patchcord-sipp-'))
    const own = port ?? await freeUdpPort()
    let text = readFileSync(join(SCENARIOS, `${scenario}.xml`), 'utf8')
    for (const [name, value] of Object.entries(keys)) text = text.replaceAll(`[${name}]`, value)
    writeFileSync(join(folder, 'scenario.xml'), text)
    const options = [
      '-sf', 'scenario.xml', '-i', '127.0.0.1', '-p', own, '-mp', await freeUdpPort(), '-m', 1, '-nostdin',
      '-timeout', `${seconds}s`, '-timeout_error', '-trace_msg', '-message_file', 'messages', '-trace_err', '-error_file', 'errors',
      ...(resends ? [] : ['-nr']), ...(call ? ['-s', call.number, `127.0.0.1:${call.port}`] : [])
    ]
    const child = spawn('sipp', options.map(String), { cwd: folder, stdio: 'ignore' })
    const ended = new Promise((done) => child.once('exit', (code, signal) => done(code ?? signal)))
    const sipp = new Sipp(folder, child, ended)
    await sipp.listening(own)
    return sipp
  }

  constructor(folder, child, ended) {
    Object.assign(this, { folder, child, ended })
  }

  async listening(port) {
    const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')} `
    for (let attempt = 0; attempt < 500; attempt++) {
      if (this.child.exitCode !== null) throw new Error(`SIPp ended at once: ${this.read('errors')}`)
      if (readFileSync('/proc/net/udp', 'latin1').includes(wanted)) return
      await new Promise((wake) => setTimeout(wake, 10))
    }
    throw new Error(`SIPp does not listen: ${this.read('errors')}`)
  }

  // Waits for the end of the call; throws unless every message was as the scenario wants. Gives all messages as text.
  async verdict() {
    const code = await this.ended
    const messages = this.read('messages')
    const errors = this.read('errors')
    rmSync(this.folder, { recursive: true, force: true })
    if (code !== 0) throw new Error(`SIPp ended with ${code}: ${errors}\n${messages}`)
    return messages
  }

  // Waits until a message of the call holds a text.
  async saw(text) {
    for (let attempt = 0; attempt < 1000; attempt++) {
      if (this.read('messages').includes(text)) return
      await new Promise((wake) => setTimeout(wake, 10))
    }
    throw new Error(`SIPp saw no ${text}:\n${this.read('messages')}`)
  }

  // Ends it if it still runs, without a verdict.
  async stop() {
    if (this.child.exitCode === null) this.child.kill('SIGKILL')
    await this.ended
    rmSync(this.folder, { recursive: true, force: true })
  }

  read(name) {
    const path = join(this.folder, name)
    return existsSync(path) ? readFileSync(path, 'latin1') : ''
  }
}
