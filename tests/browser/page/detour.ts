// A network between page and gateway, as far as media goes.

let direct: typeof RTCPeerConnection.prototype.setRemoteDescription | undefined

// From now on the gateway's media is at another port of this host: descriptions that arrive are read so.
export function detour(port: number) {
  const prototype = RTCPeerConnection.prototype
  direct ??= prototype.setRemoteDescription
  const original = direct
  prototype.setRemoteDescription = function (this: RTCPeerConnection, description: RTCSessionDescriptionInit) {
    const sdp = description.sdp?.replace(/^(a=candidate:\S+ \d+ udp \d+ \S+ )\d+/gim, `$1${port}`)
    return original.call(this, { type: description.type, sdp })
  } as typeof original
}
