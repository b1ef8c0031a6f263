// Put into the gateway's own page before its scripts run: its microphone becomes a tone, and what it plays is recorded.

import { detour } from './detour'
import { Sound } from './sound'

const sound = new Sound('all')
void sound.replaceMicrophone(440)

const Connection = window.RTCPeerConnection
window.RTCPeerConnection = class extends Connection {
  constructor(configuration?: RTCConfiguration) {
    super(configuration)
    sound.hear(this, () => undefined)
  }
}

Object.assign(window, { sound, detour })
