// The page under test: a phone on SIP.js or JsSIP, with the same verbs.

import { Inviter, Invitation, Registerer, RegistererState, Session, SessionState, UserAgent, Web } from 'sip.js'
import * as JsSIP from 'jssip'

import { detour } from './detour'
import { Sound } from './sound'

type Settings = {
  library: string
  socket: string
  realm: string
  number: string
  password: string
  tone: number
  // Seconds a registration is asked for.
  expires: number
}

interface Line {
  register(): void
  unregister(): void
  // Calls a number; with the place of a dialog in mind when `replaces` names one.
  call(number: string, replaces?: string): void
  answer(): void
  reject(): void
  hangup(): void
  // Says in the signalling that keys were pressed, each for so many milliseconds; done when all are said.
  info(keys: string, duration: number): Promise<void>
  // Changes the call: holds it by SDP or no longer, and with what the connection wants besides; or asks for an offer.
  change(change: { hold: boolean; offerless?: boolean }): void
  // Asks for the call to be transferred: to a number, or to whom the latest call is with, which then is not the one transferred.
  refer(target: string | undefined): void
  connection(): RTCPeerConnection | undefined
}

const log: string[] = []
let told = 0
const waiting: (() => void)[] = []

function tell(text: string) {
  log.push(text)
  waiting.splice(0).forEach((wake) => wake())
}

const sound = new Sound()
let settings: Settings
let line: Line

function hear(connection: RTCPeerConnection) {
  sound.hear(connection, () => tell('track'))
}

function reasonOf(text: string | undefined) {
  return text ? ` ${text}` : ''
}

function sipjs(): Line {
  const { socket, realm, number, password, expires } = settings
  let session: Session | undefined
  let before: Session | undefined
  const factory = Web.defaultSessionDescriptionHandlerFactory()
  const agent = new UserAgent({
    uri: UserAgent.makeURI(`sip:${number}@${realm}`)!,
    authorizationUsername: number,
    authorizationPassword: password,
    transportOptions: { server: socket, keepAliveInterval: 2 },
    logLevel: 'error',
    sessionDescriptionHandlerFactory: (owner, options) => {
      const handler = factory(owner, options)
      hear((handler as Web.SessionDescriptionHandler).peerConnection!)
      return handler
    },
    sessionDescriptionHandlerFactoryOptions: {
      iceGatheringTimeout: 500,
      peerConnectionConfiguration: { iceServers: [] }
    },
    delegate: {
      onDisconnect(error?: Error) {
        if (error) void comeBack()
      },
      onInvite(invitation: Invitation) {
        before = session
        session = invitation
        follow(invitation)
        invitation.delegate = {
          ...invitation.delegate,
          onCancel: (cancel) => tell('cancelled' + reasonOf(cancel.request.getHeader('Reason')))
        }
        tell(`incoming ${invitation.remoteIdentity.uri.user}`)
      }
    }
  })
  const registerer = new Registerer(agent, { expires, refreshFrequency: 50 })
  // SIP.js leaves it to the page to connect again, and to register.
  async function comeBack() {
    while (!agent.isConnected()) {
      await new Promise((wake) => setTimeout(wake, 300))
      await agent.reconnect().catch(() => undefined)
    }
    await registerer.register({ requestDelegate: { onAccept: () => tell('registered again') } })
  }
  function follow(session: Session) {
    session.delegate = {
      onBye(bye) {
        void bye.accept()
        tell('bye' + reasonOf(bye.request.getHeader('Reason')))
      }
    }
    session.stateChange.addListener((state) => {
      if (state === SessionState.Established) tell('established')
      if (state === SessionState.Terminated) tell('ended')
    })
  }
  registerer.stateChange.addListener((state) => {
    if (state === RegistererState.Registered) tell('registered')
    if (state === RegistererState.Unregistered) tell('unregistered')
  })
  return {
    async register() {
      await agent.start()
      await registerer.register({
        requestDelegate: { onReject: (response) => tell(`register refused ${response.message.statusCode}`) }
      })
    },
    unregister: () => void registerer.unregister(),
    call(target, replaces) {
      const extraHeaders = replaces ? [`Replaces: ${replaces}`] : []
      const inviter = new Inviter(agent, UserAgent.makeURI(`sip:${target}@${realm}`)!, { earlyMedia: true, extraHeaders })
      before = session
      session = inviter
      follow(inviter)
      void inviter.invite({
        requestDelegate: {
          onProgress: (response) => tell(`progress ${response.message.statusCode}`),
          onReject: ({ message }) => tell(`refused ${message.statusCode}` + reasonOf(message.getHeader('Reason')))
        }
      })
    },
    answer: () => void (session as Invitation).accept(),
    reject: () => void (session as Invitation).reject({ statusCode: 486 }),
    hangup() {
      if (session?.state === SessionState.Established) void session.bye()
      else void (session as Inviter).cancel()
    },
    // As its SimpleUser does.
    async info(keys, duration) {
      for (const key of keys) {
        const body = {
          contentDisposition: 'render', contentType: 'application/dtmf-relay', content: `Signal=${key}\r\nDuration=${duration}`
        }
        await new Promise<void>((done, failed) => void session!.info({
          requestDelegate: { onAccept: () => done(), onReject: ({ message }) => failed(new Error(`INFO ${message.statusCode}`)) },
          requestOptions: { body }
        }))
      }
    },
    change({ hold, offerless }) {
      // Also for what the gateway offers meanwhile.
      session!.sessionDescriptionHandlerOptionsReInvite = { hold } as Web.SessionDescriptionHandlerOptions
      void session!.invite({
        withoutSdp: offerless ?? false,
        requestDelegate: {
          onAccept: () => tell('changed'),
          onReject: ({ message }) => tell(`change refused ${message.statusCode}`)
        }
      })
    },
    refer(target) {
      const referred = target === undefined ? before! : session!
      void referred.refer(target === undefined ? session! : UserAgent.makeURI(`sip:${target}@${realm}`)!, {
        onNotify(notification) {
          void notification.accept()
          tell('notified ' + notification.request.body.split(' ')[1])
        },
        requestDelegate: {
          onAccept: ({ message }) => tell(`referred ${message.statusCode}`),
          onReject: ({ message }) => tell(`referred ${message.statusCode}`)
        }
      })
    },
    connection: () => (session?.sessionDescriptionHandler as Web.SessionDescriptionHandler | undefined)?.peerConnection
  }
}

function jssip(): Line {
  const { socket, realm, number, password, expires } = settings
  JsSIP.debug.disable()
  let session: any
  let before: any
  const agent = new JsSIP.UA({
    sockets: [new JsSIP.WebSocketInterface(socket)],
    uri: `sip:${number}@${realm}`,
    authorization_user: number,
    password,
    register_expires: expires
  })
  agent.on('registered', () => tell('registered'))
  agent.on('unregistered', () => tell('unregistered'))
  agent.on('registrationFailed', (event: any) => tell(`register refused ${event.response?.status_code ?? event.cause}`))
  agent.on('newRTCSession', (event: any) => {
    before = session
    session = event.session
    session.on('peerconnection', ({ peerconnection }: { peerconnection: RTCPeerConnection }) => hear(peerconnection))
    if (session.connection) hear(session.connection)
    session.on('progress', (progress: any) => {
      if (progress.originator === 'remote') tell(`progress ${progress.response.status_code}`)
    })
    session.on('confirmed', () => tell('established'))
    session.on('hold', ({ originator }: any) => { if (originator === 'remote') tell('held by the other side') })
    session.on('ended', (end: any) => {
      if (end.originator === 'remote') tell('bye' + reasonOf(end.message?.getHeader('Reason')))
      tell('ended')
    })
    session.on('failed', (failure: any) => {
      const reason = reasonOf(failure.message?.getHeader?.('Reason'))
      const status = failure.message?.status_code
      if (failure.originator === 'remote') tell(status ? `refused ${status}${reason}` : `cancelled${reason}`)
      tell('ended')
    })
    if (event.originator === 'remote') tell(`incoming ${session.remote_identity.uri.user}`)
  })
  const options = { mediaConstraints: { audio: true, video: false }, pcConfig: { iceServers: [] } }
  return {
    register: () => agent.start(),
    unregister: () => agent.unregister({ all: false }),
    call(target, replaces) {
      const extraHeaders = replaces ? [`Replaces: ${replaces}`] : []
      agent.call(`sip:${target}@${realm}`, { ...options, extraHeaders })
    },
    answer: () => session.answer(options),
    reject: () => session.terminate({ status_code: 486 }),
    hangup: () => session.terminate(),
    info(keys, duration) {
      return new Promise((done) => {
        let left = keys.length
        session.on('newDTMF', ({ originator }: any) => {
          if (originator === 'local' && --left === 0) done()
        })
        session.sendDTMF(keys, { transportType: 'INFO', duration, interToneGap: 100 })
      })
    },
    change({ hold }) {
      const done = () => tell('changed')
      if (hold === session.isOnHold().local) session.renegotiate({}, done)
      else if (hold) session.hold({}, done)
      else session.unhold({}, done)
    },
    refer(target) {
      const referred = target === undefined ? before : session
      const notified = ({ status_line }: any) => tell(`notified ${status_line.status_code}`)
      referred.refer(target ?? session.remote_identity.uri, {
        replaces: target === undefined ? session : undefined,
        eventHandlers: {
          requestSucceeded: () => tell('referred 202'),
          requestFailed: ({ response }: any) => tell(`referred ${response.status_code}`),
          trying: notified, progress: notified, accepted: notified, failed: notified
        }
      })
    },
    connection: () => session?.connection
  }
}

async function reports(type: string) {
  const found: any[] = []
  ;(await line.connection()!.getStats()).forEach((report: any) => {
    if (report.type === type) found.push(report)
  })
  return found
}

const phone = {
  async start(given: Settings) {
    settings = given
    await sound.replaceMicrophone(given.tone)
    line = given.library === 'jssip' ? jssip() : sipjs()
    line.register()
  },
  unregister: () => line.unregister(),
  call: (number: string, replaces?: string) => line.call(number, replaces),
  answer: () => line.answer(),
  reject: () => line.reject(),
  hangup: () => line.hangup(),
  async event(wanted: string, timeout: number) {
    const deadline = Date.now() + timeout
    for (;;) {
      const found = log.findIndex((text, index) => index >= told && text.startsWith(wanted))
      if (found >= 0) {
        told = found + 1
        return log[found]
      }
      const left = deadline - Date.now()
      if (left <= 0) throw new Error(`no event "${wanted}"; told were: ${log.slice(told).join(', ') || 'none'}`)
      await new Promise<void>((wake) => {
        waiting.push(wake)
        setTimeout(wake, left)
      })
    }
  },
  // Holds the call: `way` is what its SDP will say, `sendonly` (the microphone goes on) or `inactive`.
  hold(way: string) {
    if (way === 'inactive') for (const transceiver of line.connection()!.getTransceivers()) transceiver.direction = 'inactive'
    line.change({ hold: true })
  },
  // Ends the hold; by an offer of the gateway's when `offerless`.
  resume(offerless = false) {
    for (const transceiver of line.connection()!.getTransceivers()) transceiver.direction = 'sendrecv'
    line.change({ hold: false, offerless })
  },
  // As after a change of network: another generation of ICE credentials and candidates.
  restartIce() {
    line.connection()!.restartIce()
    line.change({ hold: false })
  },
  detour,
  listen: (frequency: number, seconds: number) => sound.listen(frequency, seconds),
  levels: (frequencies: number[], seconds: number) => sound.levels(frequencies, seconds),
  // The microphone says nothing, as with the mute key of a softphone.
  mute(isMuted: boolean) {
    for (const { track } of line.connection()!.getSenders()) if (track) track.enabled = !isMuted
  },
  // Presses keys, each for so many milliseconds; done when the last is up.
  digits(keys: string, duration: number) {
    const sender = line.connection()!.getSenders().find((candidate) => candidate.dtmf)!.dtmf!
    return new Promise<void>((done) => {
      sender.ontonechange = (event) => {
        if (event.tone === '') done()
      }
      sender.insertDTMF(keys, duration, 100)
    })
  },
  refer: (target?: string) => line.refer(target),
  infoDigits: (keys: string, duration: number) => line.info(keys, duration),
  // Keys heard within so many seconds: Chromium sounds the telephone-events it receives.
  listenForDigits: (seconds: number) => sound.listenForDigits(seconds),
  // What came in over RTP so far: packets, and the bytes in them without headers.
  async received() {
    const { packetsReceived: packets, bytesReceived: bytes } = (await reports('inbound-rtp'))[0]
    return { packets, bytes }
  },
  // The browser's own figures of this type (W3C webrtc-stats) for the call.
  reports,
  // From now on the SDP names another certificate than this browser's.
  forgeFingerprint() {
    const described = Object.getOwnPropertyDescriptor(RTCPeerConnection.prototype, 'localDescription')!.get!
    Object.defineProperty(RTCPeerConnection.prototype, 'localDescription', {
      get() {
        const description: RTCSessionDescription | null = described.call(this)
        return description && new RTCSessionDescription({
          type: description.type,
          sdp: description.sdp.replace(/^(a=fingerprint:sha-256 )..:/m, (whole, name) => name + (whole.endsWith('00:') ? '11:' : '00:'))
        })
      }
    })
  },
  log: () => log
}

;(window as any).phone = phone
