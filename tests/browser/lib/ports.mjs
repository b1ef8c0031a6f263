// Free ports, for programs that cannot choose one and say which.

import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'

export function freeUdpPort() {
  return new Promise((done) => {
    const socket = createSocket('udp4')
    socket.bind(0, '127.0.0.1', () => {
      const { port } = socket.address()
      socket.close(() => done(port))
    })
  })
}

export function freeTcpPort() {
  return new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => done(port))
    })
  })
}
