// The agent's line: the WebSocket to the gateway and the registration over it, brought back whenever they are lost. Knows no calls.

import { Registerer, RegistererState, UserAgent, Web, type Invitation } from 'sip.js'
import type { OutgoingRequestDelegate } from 'sip.js/lib/core'

import type { Address } from './address'
import { backoff } from './backoff'
import type { MediaOptions } from './call'
import { registrationText } from './causes'
import type { Registration } from './state'

const EXPIRES_S = 600
// Refreshed when this much of it is over, in percent.
const REFRESH_AT = 80
// Empty lines that keep the connection open in proxies and NATs (RFC 5626 §4.4.1).
const KEEP_ALIVE_S = 25
// Longest wait for ICE candidates; the gateway needs none of ours, it learns them from the checks.
const GATHERING_MS = 500
// A connection over which a REGISTER is not answered in this time is dead, though nothing says so.
const ANSWER_MS = 8000

const OFFLINE = 'This computer is offline.'

export interface LineListener {
  registration(registration: Registration): void
  // The gateway does not accept address or secret; the line has ended.
  refused(why: string): void
  invited(invitation: Invitation): void
}

export class Line {
  readonly agent: UserAgent
  readonly domain: string
  private readonly listener: LineListener
  private registerer: Registerer
  private attempt = 0
  private timer: ReturnType<typeof setTimeout> | undefined
  private alarm: ReturnType<typeof setTimeout> | undefined
  private ended = false
  private registered = false
  // A REGISTER is on its way over the connection that is open.
  private asking = false
  private readonly online = () => this.check()
  private readonly offline = () => this.tell({ state: 'reconnecting', why: OFFLINE, attempt: this.attempt, next: null })

  constructor(address: Address, secret: string, server: string, listener: LineListener) {
    const uri = UserAgent.makeURI(`sip:${address.user}@${address.domain}`)
    if (!uri) throw new Error(`${address.user}@${address.domain} is not a SIP address`)
    this.domain = address.domain
    this.listener = listener
    this.agent = new UserAgent({
      uri,
      authorizationUsername: address.user,
      authorizationPassword: secret,
      transportOptions: { server, keepAliveInterval: KEEP_ALIVE_S },
      logLevel: 'warn',
      sessionDescriptionHandlerFactory: (session) =>
        new Web.SessionDescriptionHandler(session.userAgent.getLogger('sip.SessionDescriptionHandler'), microphoneOf, {
          iceGatheringTimeout: GATHERING_MS,
          // The gateway is reached directly: no STUN server is asked, ours or anyone's.
          peerConnectionConfiguration: { iceServers: [], bundlePolicy: 'balanced', rtcpMuxPolicy: 'require' }
        }),
      delegate: {
        onConnect: () => this.register(),
        onDisconnect: (error?: Error) => {
          if (error) this.retryLater('The connection to the gateway was lost.')
        },
        onInvite: (invitation) => listener.invited(invitation)
      }
    })
    this.registerer = this.newRegisterer()
  }

  get isRegistered(): boolean {
    return this.registered && this.agent.isConnected()
  }

  start(): void {
    this.tell({ state: 'connecting' })
    window.addEventListener('online', this.online)
    window.addEventListener('offline', this.offline)
    this.agent.start().catch(() => this.retryLater('The gateway cannot be reached.'))
  }

  // Finds out whether the connection still works: the network may have changed under it. A registration is told anew if so.
  check(): void {
    if (!this.asking || !this.agent.isConnected()) this.retryNow()
  }

  // Unregisters as far as that is possible, and closes the connection.
  async end(): Promise<void> {
    if (this.ended) return
    this.ended = true
    clearTimeout(this.timer)
    clearTimeout(this.alarm)
    window.removeEventListener('online', this.online)
    window.removeEventListener('offline', this.offline)
    if (this.registerer.state === RegistererState.Registered && this.agent.isConnected()) {
      await new Promise<void>((done) => {
        const requestDelegate = { onAccept: () => done(), onReject: () => done() }
        this.registerer.unregister({ requestDelegate }).catch(() => done())
      })
    }
    await this.agent.stop()
  }

  // Its instance names this page (RFC 5626 §4.1): when it comes back over another connection, its calls are moved there. A page that is
  // loaded again is another one, and asks for its calls itself.
  private newRegisterer(): Registerer {
    const registerer = new Registerer(this.agent, {
      expires: EXPIRES_S,
      refreshFrequency: REFRESH_AT,
      instanceId: this.agent.instanceId,
      regId: 1
    })
    registerer.stateChange.addListener((state) => {
      // A refresh that was refused; what comes of `register` is told to its delegate.
      const isOurs = registerer === this.registerer
      if (isOurs && state === RegistererState.Unregistered && this.registered && this.agent.isConnected()) {
        this.retryLater('The gateway did not take the registration.')
      }
    })
    return registerer
  }

  private register(): void {
    if (this.ended) return
    this.asking = true
    clearTimeout(this.alarm)
    this.alarm = setTimeout(() => this.giveUpConnection(), ANSWER_MS)
    this.send(this.registerer).catch(() => {
      // One is still under way, perhaps over a connection that is gone: another takes its place, and its answer does not count.
      if (this.ended) return
      this.registerer = this.newRegisterer()
      this.send(this.registerer).catch(() => this.retryLater('The gateway cannot be reached.'))
    })
  }

  private send(registerer: Registerer): Promise<unknown> {
    const requestDelegate: OutgoingRequestDelegate = {
      onAccept: () => {
        if (registerer !== this.registerer) return
        this.answered()
        this.attempt = 0
        this.tell({ state: 'registered' })
      },
      onReject: ({ message }) => {
        if (registerer !== this.registerer) return
        this.answered()
        const why = registrationText(message.statusCode ?? 0)
        if (why === null) this.retryLater(`The gateway did not take the registration (${message.statusCode}).`)
        else if (!this.ended) {
          this.listener.refused(why)
          void this.end()
        }
      }
    }
    return registerer.register({ requestDelegate })
  }

  private answered(): void {
    clearTimeout(this.alarm)
    this.asking = false
  }

  private giveUpConnection(): void {
    this.answered()
    if (this.ended || !this.agent.isConnected()) return
    this.tell({ state: 'reconnecting', why: navigator.onLine ? 'The gateway does not answer.' : OFFLINE, attempt: this.attempt, next: null })
    const again = () => this.retryNow()
    this.agent.transport.disconnect().then(again, again)
  }

  private tell(registration: Registration): void {
    if (this.ended) return
    this.registered = registration.state === 'registered'
    this.listener.registration(registration)
  }

  private retryLater(why: string): void {
    if (this.ended) return
    clearTimeout(this.timer)
    this.answered()
    const wait = backoff(this.attempt++)
    this.tell({ state: 'reconnecting', why: navigator.onLine ? why : OFFLINE, attempt: this.attempt, next: Date.now() + wait })
    this.timer = setTimeout(() => this.retryNow(), wait)
  }

  private retryNow(): void {
    if (this.ended) return
    clearTimeout(this.timer)
    if (this.agent.isConnected()) this.register()
    else this.agent.reconnect().catch(() => this.retryLater('The gateway cannot be reached.'))
  }
}

// What a session sends: the microphone that was opened for its call.
const microphoneOf: Web.MediaStreamFactory = (_constraints, _handler, options) =>
  Promise.resolve((options as MediaOptions | undefined)?.microphone ?? new MediaStream())
