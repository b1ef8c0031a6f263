// The agent's line: the WebSocket to the gateway and the registration over it, brought back whenever they are lost. Knows no calls.

import { Registerer, RegistererState, UserAgent, Web, type Invitation } from 'sip.js'
import type { OutgoingRequestDelegate } from 'sip.js/lib/core'

import type { Address } from './address'
import { backoff } from './backoff'
import { registrationText } from './causes'
import type { Registration } from './state'

const EXPIRES_S = 600
// Refreshed when this much of it is over, in percent.
const REFRESH_AT = 80
// Empty lines that keep the connection open in proxies and NATs (RFC 5626 §4.4.1).
const KEEP_ALIVE_S = 25
// Longest wait for ICE candidates; the gateway needs none of ours, it learns them from the checks.
const GATHERING_MS = 500

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
  private readonly registerer: Registerer
  private readonly listener: LineListener
  private attempt = 0
  private timer: ReturnType<typeof setTimeout> | undefined
  private ended = false
  private registered = false
  private readonly online = () => this.retryNow()
  private readonly offline = () => this.tell({ state: 'reconnecting', why: OFFLINE })

  // `microphone` gives the stream of the call that is being set up.
  constructor(address: Address, secret: string, server: string, microphone: () => MediaStream, listener: LineListener) {
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
      sessionDescriptionHandlerFactory: Web.defaultSessionDescriptionHandlerFactory(() => Promise.resolve(microphone())),
      sessionDescriptionHandlerFactoryOptions: {
        iceGatheringTimeout: GATHERING_MS,
        // The gateway is reached directly: no STUN server is asked, ours or anyone's.
        peerConnectionConfiguration: { iceServers: [] }
      },
      delegate: {
        onConnect: () => this.register(),
        onDisconnect: (error?: Error) => {
          if (error) this.retryLater('The connection to the gateway was lost.')
        },
        onInvite: (invitation) => listener.invited(invitation)
      }
    })
    this.registerer = new Registerer(this.agent, { expires: EXPIRES_S, refreshFrequency: REFRESH_AT })
    this.registerer.stateChange.addListener((state) => {
      // A refresh that was refused; what comes of `register` is told to its delegate.
      if (state === RegistererState.Unregistered && this.registered && this.agent.isConnected()) {
        this.retryLater('The gateway did not take the registration.')
      }
    })
  }

  start(): void {
    this.tell({ state: 'connecting' })
    window.addEventListener('online', this.online)
    window.addEventListener('offline', this.offline)
    this.agent.start().catch(() => this.retryLater('The gateway cannot be reached.'))
  }

  // Unregisters as far as that is possible, and closes the connection.
  async end(): Promise<void> {
    if (this.ended) return
    this.ended = true
    clearTimeout(this.timer)
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

  private register(): void {
    if (this.ended) return
    const requestDelegate: OutgoingRequestDelegate = {
      onAccept: () => {
        this.attempt = 0
        this.tell({ state: 'registered' })
      },
      onReject: ({ message }) => {
        const why = registrationText(message.statusCode ?? 0)
        if (why === null) this.retryLater(`The gateway did not take the registration (${message.statusCode}).`)
        else if (!this.ended) {
          this.listener.refused(why)
          void this.end()
        }
      }
    }
    // It rejects only when a REGISTER is still under way, whose answer will tell.
    this.registerer.register({ requestDelegate }).catch(() => undefined)
  }

  private tell(registration: Registration): void {
    if (this.ended) return
    this.registered = registration.state === 'registered'
    this.listener.registration(registration)
  }

  private retryLater(why: string): void {
    if (this.ended) return
    this.tell({ state: 'reconnecting', why: navigator.onLine ? why : OFFLINE })
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.retryNow(), backoff(this.attempt++))
  }

  private retryNow(): void {
    if (this.ended) return
    clearTimeout(this.timer)
    if (this.agent.isConnected()) this.register()
    else this.agent.reconnect().catch(() => this.retryLater('The gateway cannot be reached.'))
  }
}
