// What the phone shows. Plain values; nothing here acts.

export type Registration =
  | { state: 'signed out' }
  | { state: 'connecting' }
  | { state: 'registered' }
  // The gateway cannot be reached or cannot take the registration now; the phone keeps trying.
  | {
      state: 'reconnecting'
      why: string
      // How often it has been tried in vain.
      attempt: number
      // When it is tried again, in ms since the epoch; null while it is being tried, or when the network has to come back first.
      next: number | null
    }

export type CallState =
  // Opening the microphone and sending the call.
  | 'calling'
  // Taking the place of the call this page had before it was loaded again.
  | 'returning'
  // The other side rings.
  | 'ringing'
  // Somebody calls us.
  | 'incoming'
  | 'answering'
  | 'connected'
  | 'ending'

export interface CallView {
  // Known to this page alone.
  id: number
  direction: 'outgoing' | 'incoming'
  // Number or name of the other side.
  party: string
  // The other side's name, where it gave one.
  name: string
  state: CallState
  // When it was answered, in ms since the epoch.
  since: number | null
  muted: boolean
  // By the agent: the other side hears music.
  held: boolean
  // By the gateway, for whoever told it to.
  heldByGateway: boolean
  // The call on whose behalf this one was made: its party may be handed on to this one's.
  consults: number | null
  // To whom the other side is being handed on, while that is under way.
  transfer: string | null
  // It is becoming part of another call, and its end is nothing to tell.
  joining: boolean
  // Who else is in the call, once it has become one of several.
  participants: Participant[]
  // The digits pressed in this call.
  digits: string
}

// Somebody in a call of several, who is not the agent.
export interface Participant {
  // `leg_…`
  id: string
  party: string
  state: string
  removing: boolean
}

export type Presence = 'available' | 'ringing' | 'busy' | 'offline'

export interface Colleague {
  number: string
  name: string
  presence: Presence
}

export interface Directory {
  // Not asked yet, there, or not to be had.
  state: 'unknown' | 'known' | 'missing'
  colleagues: Colleague[]
}

// A call this page was in before it was loaded again.
export interface LostCall {
  // Its Call-ID or, for one the gateway told of, its `call_…`.
  key: string
  party: string
  name: string
  // It is being brought back or ended.
  busy: boolean
}

export interface Notice {
  kind: 'information' | 'warning'
  text: string
}

export interface PhoneState {
  registration: Registration
  // The agent's own address, once signed in.
  address: string
  // In the order they came.
  calls: CallView[]
  // The call that is talked in, or is about to be.
  active: number | null
  lost: LostCall[]
  directory: Directory
  notice: Notice | null
}
