// The real gateway binary in a folder of its own, on free ports, with what a test provisions through the REST API.

import { spawn, spawnSync } from 'node:child_process'
import { appendFileSync, mkdtempSync, readFileSync, writeFileSync, existsSync, watch, rmSync, cpSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const BINARY = process.env.PATCHCORD_BINARY ?? join(ROOT, 'target/release/patchcord')
const LOGS = process.env.PATCHCORD_STORY_LOGS
const REALM = 'phone.test'

export class Gateway {
  // `origins` may open the WebSocket; `settings` are variables without their prefix, such as CALLS__SHUTDOWN_S; `rules` come before
  // the default dialplan.
  static async start({ origins = [], settings = {}, rules = '' } = {}) {
    const folder = mkdtempSync(join(tmpdir(), 'patchcord-'))
    cpSync(join(ROOT, 'dialplan'), join(folder, 'dialplan'), { recursive: true })
    writeFileSync(join(folder, 'dialplan/00-before.toml'), rules)
    const config = join(folder, 'patchcord.toml')
    writeFileSync(config, `
[http]
https_listen = "127.0.0.1:0"
certificate = "${folder}/cert.pem"
key = "${folder}/key.pem"
allowed_origins = ${JSON.stringify(origins)}
[sip]
udp_listen = "127.0.0.1:0"
tcp_listen = "127.0.0.1:0"
domain = "${REALM}"
[media]
listen = "127.0.0.1"
browser_ports = 0
rtp_port_min = 0
rtp_port_max = 0
shards = 1
[database]
url = "sqlite://${folder}/patchcord.db"
[dialplan]
directory = "${folder}/dialplan"
[calls]
shutdown_s = 1
`)
    const init = spawnSync(BINARY, ['init', '--config', config], { encoding: 'utf8' })
    if (init.status !== 0) throw new Error(`patchcord init: ${init.stdout}${init.stderr}`)
    const key = init.stdout.match(/pk_[A-Za-z0-9_]+/)?.[0]
    if (!key) throw new Error(`no API key in: ${init.stdout}`)
    const portsFile = join(folder, 'ports.json')
    const env = { ...process.env, PATCHCORD__LOG__FILTER: process.env.PATCHCORD_LOG ?? 'info' }
    for (const [name, value] of Object.entries(settings)) env[`PATCHCORD__${name}`] = String(value)
    const child = spawn(BINARY, ['serve', '--config', config, '--ports-file', portsFile], { env })
    let log = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => {
      log += chunk
      // For whoever runs the story, should it fail.
      if (LOGS) appendFileSync(join(LOGS, `${basename(folder)}.log`), chunk)
    })
    const ended = new Promise((done) => child.once('exit', (code) => done(code)))
    await Promise.race([
      fileAppears(folder, 'ports.json'),
      ended.then((code) => { throw new Error(`patchcord serve ended with ${code}: ${log}`) })
    ])
    const ports = JSON.parse(readFileSync(portsFile, 'utf8'))
    return new Gateway(folder, child, ended, key, ports, () => log)
  }

  constructor(folder, child, ended, key, ports, log) {
    Object.assign(this, { folder, child, ended, key, ports, log, realm: REALM })
    this.origin = `https://localhost:${port(ports.https)}`
    this.socket = `wss://localhost:${port(ports.https)}/sip`
    this.sipPort = port(ports.sip_udp)
  }

  async api(method, path, body) {
    const { status, text } = await call(method, this.origin + '/v1' + path, this.key, body)
    const json = text ? JSON.parse(text) : null
    if (status >= 400) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(json)}`)
    return json
  }

  async agent(number, fields = {}) {
    const agent = await this.api('POST', '/agents', { display_name: `Agent ${number}`, ...fields })
    const extension = await this.api('POST', '/extensions', { number, agent_id: agent.id })
    const { password } = await this.api('POST', `/extensions/${extension.id}/credentials`, {})
    return { number, password, agentId: agent.id, extensionId: extension.id }
  }

  async trunk(sipPort, fields = {}) {
    return this.api('POST', '/trunks', {
      name: `carrier-${sipPort}`,
      gateways: [{ uri: `sip:127.0.0.1:${sipPort}`, transport: 'udp', priority: 1, weight: 1 }],
      inbound: { cidrs: ['127.0.0.1/32'] },
      // SIPp takes a probe for the call of its scenario.
      options_ping_s: 0,
      ...fields
    })
  }

  // What a counter of `/metrics` has come to, all its labels together.
  async counter(name) {
    const { text } = await call('GET', `${this.origin}/metrics`, this.key)
    const lines = text.split('\n').filter((line) => line.startsWith(name))
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
  }

  // Asks until an answer is the one that is wanted: what happens at a peer is known here a little later.
  async until(read, isWanted, timeout = 20_000) {
    const deadline = Date.now() + timeout
    for (;;) {
      const answer = await read()
      if (isWanted(answer)) return answer
      if (Date.now() > deadline) throw new Error(`the gateway still says ${JSON.stringify(answer)}`)
      await new Promise((wake) => setTimeout(wake, 20))
    }
  }

  // Waits until no call is left: one that was hung up is over when its media is closed.
  noCalls() {
    return this.until(() => this.api('GET', '/calls'), ({ data }) => data.length === 0)
  }

  // Hangs up what a test that failed has left behind.
  async hangUp() {
    // One that is over in this moment is no longer known.
    for (const { id } of (await this.api('GET', '/calls')).data) await this.api('POST', `/calls/${id}/hangup`).catch(() => undefined)
    await this.noCalls()
  }

  async registrations(agent) {
    return (await this.api('GET', `/extensions/${agent.extensionId}/registrations`)).data
  }

  // Waits until an agent is registered so many times.
  registered(agent, count) {
    return this.until(() => this.registrations(agent), (data) => data.length === count)
  }

  async stop() {
    this.child.kill('SIGTERM')
    const code = await this.ended
    rmSync(this.folder, { recursive: true, force: true })
    return code
  }
}

function port(address) {
  return Number(address.slice(address.lastIndexOf(':') + 1))
}

function fileAppears(folder, name) {
  return new Promise((done) => {
    const watcher = watch(folder, check)
    function check() {
      if (existsSync(join(folder, name))) {
        watcher.close()
        done()
      }
    }
    check()
  })
}

function call(method, url, key, body) {
  const text = body === undefined ? undefined : JSON.stringify(body)
  return new Promise((done, failed) => {
    const headers = { authorization: `Bearer ${key}` }
    if (text !== undefined) headers['content-type'] = 'application/json'
    const sent = request(url, { method, headers, family: 4, rejectUnauthorized: false }, (response) => {
      let answer = ''
      response.on('data', (chunk) => { answer += chunk })
      response.on('end', () => done({ status: response.statusCode, text: answer }))
    })
    sent.on('error', failed)
    sent.end(text)
  })
}
