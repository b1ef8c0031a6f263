// A story under way: its file in a process of its own, in a network namespace with nothing but loopback, so that no port is taken and
// Chromium has no other interface to advertise.

import { spawn } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { networkOf, prefer, processes } from './priority.mjs'

// No story hangs for ever.
const DEADLINE_MS = 300_000
// Of a gateway's log, when something went wrong.
const LOG_CHARACTERS = 20_000

export class Story {
  // `told` resolves to {name, passed, output, seconds}, whatever happens.
  constructor(name, file) {
    this.name = name
    this.output = ''
    this.logs = mkdtempSync(join(tmpdir(), 'patchcord-story-'))
    const started = performance.now()
    const namespace = process.getuid() === 0 ? ['--net'] : ['--map-root-user', '--net']
    const commands = 'ip link set lo up && exec "$0" --test-reporter=tap "$1"'
    this.child = spawn('unshare', [...namespace, 'sh', '-c', commands, process.execPath, file], {
      env: { ...process.env, PATCHCORD_STORY_LOGS: this.logs }, stdio: ['ignore', 'pipe', 'pipe'], detached: true
    })
    prefer(this.child.pid)
    for (const stream of [this.child.stdout, this.child.stderr]) stream.on('data', (chunk) => this.take(chunk))
    const deadline = setTimeout(() => {
      this.output += `\n# Not over after ${DEADLINE_MS / 1000} s.\n`
      this.kill()
    }, DEADLINE_MS)
    this.child.once('exit', () => this.kill())
    this.told = new Promise((done) => {
      this.child.once('error', (error) => {
        this.output += `# ${error.message}\n`
        done(false)
      })
      this.child.once('close', (code) => done(code === 0))
    }).then((passed) => {
      clearTimeout(deadline)
      if (this.held) closeSync(this.held)
      if (!passed) this.output += this.gatewayLogs()
      rmSync(this.logs, { recursive: true, force: true })
      return { name, passed, output: this.output, seconds: (performance.now() - started) / 1000 }
    })
  }

  take(chunk) {
    if (!this.network) this.findNetwork()
    this.output += chunk
  }

  // Ends whatever the story has started and not ended: all there is in its network.
  kill() {
    if (!this.network) this.findNetwork()
    if (this.child.exitCode === null) this.child.kill('SIGKILL')
    if (!this.network) return
    for (const pid of processes()) {
      if (networkOf(pid) === this.network) killed(Number(pid))
    }
  }

  findNetwork() {
    const network = networkOf(this.child.pid)
    if (!network || network === networkOf('self')) return
    this.network = network
    // While it is held, no other story's network gets its name.
    this.held = openSync(`/proc/${this.child.pid}/ns/net`)
  }

  gatewayLogs() {
    return readdirSync(this.logs).map((name) => {
      const text = readFileSync(join(this.logs, name), 'utf8').slice(-LOG_CHARACTERS)
      return `# ${name}:\n${text.replace(/^/gm, '# ')}\n`
    }).join('')
  }
}

function killed(pid) {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself.
  }
}
