// A SIP phone reduced to its wire: a WebSocket client (RFC 6455) that sends and reads text as it is told, for what no library shows.

import { createHash, randomBytes } from 'node:crypto'
import { request } from 'node:https'

import { Bell } from './bell.mjs'

export class SipSocket {
  // Resolves to the open socket, or to the HTTP status with which the handshake was refused.
  static open(url, { origin, protocol = 'sip' } = {}) {
    const headers = {
      connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13',
      'sec-websocket-key': randomBytes(16).toString('base64'), 'sec-websocket-protocol': protocol
    }
    if (origin) headers.origin = origin
    return new Promise((done, failed) => {
      const sent = request(url.replace('wss:', 'https:'), { headers, family: 4, rejectUnauthorized: false })
      sent.on('upgrade', (response, socket) => done(new SipSocket(socket)))
      sent.on('response', (response) => {
        response.resume()
        done(response.statusCode)
      })
      sent.on('error', failed)
      sent.end()
    })
  }

  constructor(socket) {
    Object.assign(this, { socket, received: [], bell: new Bell() })
    let buffer = Buffer.alloc(0)
    socket.on('data', (chunk) => { buffer = this.take(Buffer.concat([buffer, chunk])) })
    socket.on('error', () => undefined)
  }

  // Unmasked frames of a server; none of ours is longer than 64 KB.
  take(buffer) {
    for (;;) {
      if (buffer.length < 2) return buffer
      const long = (buffer[1] & 0x7f) === 126
      const start = long ? 4 : 2
      if (buffer.length < start) return buffer
      const length = long ? buffer.readUInt16BE(2) : buffer[1]
      if (buffer.length < start + length) return buffer
      if ((buffer[0] & 0x0f) <= 2) {
        this.received.push(buffer.subarray(start, start + length).toString())
        this.bell.ring()
      }
      buffer = buffer.subarray(start + length)
    }
  }

  send(text) {
    const payload = Buffer.from(text)
    const mask = randomBytes(4)
    const header = Buffer.from([0x81, 0x80 | 126, payload.length >> 8, payload.length & 0xff])
    this.socket.write(Buffer.concat([header, mask, payload.map((byte, index) => byte ^ mask[index % 4])]))
  }

  // The next text that came; earlier ones are used up.
  next(timeout = 10_000) {
    return this.bell.until(() => this.received.shift(), timeout, () => 'nothing came over the WebSocket')
  }

  // Drops the connection without a word.
  break() {
    this.socket.destroy()
  }
}

// A REGISTER of one contact; `authorization` is the header's value, if any.
export function register({ number, realm, instance, cseq, expires, authorization }) {
  return [
    `REGISTER sip:${realm} SIP/2.0`,
    `Via: SIP/2.0/WSS ${instance}.invalid;branch=z9hG4bK${randomBytes(8).toString('hex')}`,
    'Max-Forwards: 70',
    `From: <sip:${number}@${realm}>;tag=${instance}`,
    `To: <sip:${number}@${realm}>`,
    `Call-ID: ${instance}`,
    `CSeq: ${cseq} REGISTER`,
    `Contact: <sip:${number}@${instance}.invalid;transport=ws>;expires=${expires}`,
    ...(authorization ? [`Authorization: ${authorization}`] : []),
    'Content-Length: 0', '', ''
  ].join('\r\n')
}

// What the first challenge of a 401 asks with.
export function challengeOf(response) {
  const parameter = (name) => new RegExp(`${name}="([^"]*)"`).exec(response)?.[1]
  return { realm: parameter('realm'), nonce: parameter('nonce'), opaque: parameter('opaque') }
}

// Digest credentials (RFC 7616) for a challenge's nonce, used for the `count`th time.
export function digest({ number, password, realm, nonce, opaque, count, method = 'REGISTER' }) {
  const hash = (text) => createHash('sha256').update(text).digest('hex')
  const uri = `sip:${realm}`
  const [nc, cnonce] = [count.toString(16).padStart(8, '0'), randomBytes(8).toString('hex')]
  const response = hash([hash(`${number}:${realm}:${password}`), nonce, nc, cnonce, 'auth', hash(`${method}:${uri}`)].join(':'))
  return `Digest username="${number}", realm="${realm}", nonce="${nonce}", uri="${uri}", response="${response}", ` +
    `algorithm=SHA-256, qop=auth, nc=${nc}, cnonce="${cnonce}"` + (opaque ? `, opaque="${opaque}"` : '')
}
