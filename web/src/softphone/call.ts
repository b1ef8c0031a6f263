// One call: a SIP session, what the agent may do with it, and what it tells. The microphone is opened before the call is made or
// answered, so that a missing one costs neither.

import { Invitation, Inviter, SessionState, Web, type Session, type URI } from 'sip.js'

import { cancelText, refusalText } from './causes'
import { infoBody, press } from './digits'
import { progressOf } from './sipfrag'

export interface CallListener {
  ringing(): void
  // The other side can be heard before it answers.
  earlyMedia(): void
  connected(): void
  // The remote sound, as soon as there is some.
  sound(stream: MediaStream): void
  // The other side was not handed on: it is still here.
  transferFailed(why: string): void
  // `why` is empty when nobody needs to be told.
  ended(why: string): void
}

const BUSY = 486

export class Call {
  private readonly session: Session
  private readonly listener: CallListener
  private why = ''
  private gaveUp = false
  private heard = false

  constructor(session: Session, listener: CallListener) {
    this.session = session
    this.listener = listener
    session.delegate = {
      // A cancelled invitation was never answered.
      ...(session instanceof Invitation && { onCancel: (cancel) => this.cancelled(cancel.request.getHeaders('Reason')) }),
      onBye: () => {
        this.why ||= 'The other side hung up.'
      },
      onSessionDescriptionHandler: () => this.listen()
    }
    session.stateChange.addListener((state) => {
      if (state === SessionState.Established) {
        this.listen()
        listener.connected()
      }
      // SIP.js hands over a refusal just after this state, and the refusal says why.
      if (state === SessionState.Terminated) queueMicrotask(() => listener.ended(this.gaveUp ? '' : this.why))
    })
  }

  invite(): void {
    if (!(this.session instanceof Inviter)) return
    const failed = (error: unknown) => {
      this.why = `The call could not be made: ${error instanceof Error ? error.message : String(error)}`
      if (this.session.state === SessionState.Initial) this.listener.ended(this.why)
    }
    this.session
      .invite({
        requestDelegate: {
          onProgress: ({ message }) => {
            if (message.body) {
              this.listen()
              this.listener.earlyMedia()
            } else if (message.statusCode === 180) this.listener.ringing()
          },
          onReject: ({ message }) => {
            const [status, phrase] = [message.statusCode ?? 0, message.reasonPhrase ?? '']
            this.why = refusalText({ status, phrase, reasons: message.getHeaders('Reason') })
          }
        }
      })
      .catch(failed)
  }

  accept(): void {
    if (!(this.session instanceof Invitation)) return
    // When a CANCEL overtakes it, it never settles: the state tells.
    this.session.accept().catch((error: unknown) => {
      this.why = `The call could not be answered: ${error instanceof Error ? error.message : String(error)}`
    })
  }

  // Ends the call in whatever state it is: gives up, rejects or hangs up.
  hangUp(): void {
    const { session } = this
    const ignore = () => undefined
    this.gaveUp = true
    if (session.state === SessionState.Established) session.bye().catch(ignore)
    else if (session instanceof Inviter) session.cancel().catch(ignore)
    else if (session instanceof Invitation) session.reject({ statusCode: BUSY }).catch(ignore)
  }

  press(key: string): void {
    const sender = this.connection?.getSenders().find((candidate) => candidate.dtmf)?.dtmf
    if (press(sender, key)) return
    const { contentType, content } = infoBody(key)
    const body = { contentDisposition: 'render', contentType, content }
    this.session.info({ requestOptions: { body } }).catch(() => undefined)
  }

  // Puts the other side on hold or takes it back. Rejects with what to tell the agent.
  async hold(hold: boolean): Promise<void> {
    const failed = new Error(hold ? 'The call could not be put on hold.' : 'The call could not be taken back.')
    const sessionDescriptionHandlerOptions: Web.SessionDescriptionHandlerOptions = { hold }
    await new Promise<void>((done, fail) => {
      const requestDelegate = { onAccept: () => done(), onReject: () => fail(failed) }
      this.session.invite({ sessionDescriptionHandlerOptions, requestDelegate }).catch(() => fail(failed))
    })
  }

  // Hands the other side on to `target` (RFC 3515). The gateway ends the call when the target has taken it.
  transfer(target: URI): void {
    const refused = (status: number, phrase: string) =>
      this.listener.transferFailed(refusalText({ status, phrase, reasons: [] }))
    this.session
      .refer(target, {
        requestDelegate: { onReject: ({ message }) => refused(message.statusCode ?? 0, message.reasonPhrase ?? '') },
        onNotify: (notification) => {
          notification.accept().catch(() => undefined)
          const progress = progressOf(notification.request.body)
          if (!progress || progress.status < 200) return
          if (progress.status < 300) this.why = 'The call was handed on.'
          else refused(progress.status, progress.phrase)
        }
      })
      .catch(() => this.listener.transferFailed('The gateway cannot be reached.'))
  }

  private cancelled(reasons: readonly string[]): void {
    this.why = cancelText(reasons)
  }

  private get handler(): Web.SessionDescriptionHandler | undefined {
    return this.session.sessionDescriptionHandler as Web.SessionDescriptionHandler | undefined
  }

  private get connection(): RTCPeerConnection | undefined {
    return this.handler?.peerConnection
  }

  private listen(): void {
    if (this.heard || !this.handler) return
    this.heard = true
    this.listener.sound(this.handler.remoteMediaStream)
  }
}
