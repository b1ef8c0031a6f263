import { webcrypto } from 'node:crypto'

import { describe, expect, test } from 'vitest'

import { challengeOf, Digest, responseOf, type Source } from './digest'

const MD5 = 'Digest realm="phone.test", nonce="m", algorithm=MD5, qop="auth"'
const SHA = 'Digest realm="phone.test", nonce="s", algorithm=SHA-256, qop="auth", opaque="o"'

describe('a challenge', () => {
  test('is chosen by its algorithm, whatever stands beside it', () => {
    for (const header of [`${SHA}, ${MD5}`, `${MD5}, ${SHA}`, `Bearer realm="x, y", ${SHA}`, `Negotiate, ${SHA}`]) {
      expect(challengeOf(header)).toEqual({ realm: 'phone.test', nonce: 's', opaque: 'o', stale: false })
    }
  })

  test('may be written in other ways', () => {
    const header = 'digest  Realm = "a \\"b\\" c" ,qop="auth-int, AUTH",NONCE=n,algorithm="sha-256",stale=TRUE'
    expect(challengeOf(header)).toEqual({ realm: 'a "b" c', nonce: 'n', opaque: null, stale: true })
  })

  test('that this client cannot answer is none', () => {
    for (const header of ['', MD5, 'Bearer', 'Digest', 'Digest realm="r", algorithm=SHA-256, qop="auth"', SHA.replace('"auth"', '"auth-int"'), ',,,']) {
      expect(challengeOf(header)).toBeNull()
    }
  })
})

describe('an answer', () => {
  const source: Source = { subtle: webcrypto.subtle as SubtleCrypto, getRandomValues: (array) => array }

  test('proves the secret as in the example of RFC 7616 §3.9.1', async () => {
    const proof = {
      username: 'Mufasa',
      realm: 'http-auth@example.org',
      secret: 'Circle of Life',
      nonce: '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v',
      nc: '00000001',
      cnonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ',
      method: 'GET',
      uri: '/dir/index.html'
    }
    expect(await responseOf(proof, source.subtle)).toBe('753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1')
  })

  test('says what it was computed from', async () => {
    const digest = new Digest('1001', 'secret', source)
    digest.take(SHA)
    const proof = { username: '1001', realm: 'phone.test', secret: 'secret', nonce: 's', nc: '00000001', cnonce: '0'.repeat(32), method: 'POST', uri: '/v1/x' }
    expect(await digest.authorization('POST', '/v1/x')).toBe(
      'Digest username="1001", realm="phone.test", nonce="s", uri="/v1/x", algorithm=SHA-256, qop=auth, nc=00000001, ' +
        `cnonce="${'0'.repeat(32)}", response="${await responseOf(proof, source.subtle)}", opaque="o"`
    )
  })

  test('counts how often a nonce was used, also for requests that overlap, and begins anew with another', async () => {
    const digest = new Digest('1001', 'secret', source)
    expect(await digest.authorization('GET', '/v1/calls')).toBeNull()
    expect(digest.take(SHA)).toBe(true)
    const both = await Promise.all([digest.authorization('GET', '/v1/calls'), digest.authorization('GET', '/v1/directory')])
    expect(both.map((header) => /nc=(\w+)/.exec(header ?? '')?.[1])).toEqual(['00000001', '00000002'])
    expect(digest.take(null)).toBe(false)
    expect(digest.take(MD5)).toBe(false)
    expect(await digest.authorization('GET', '/')).toContain('nonce="s", uri="/", algorithm=SHA-256, qop=auth, nc=00000003')
    digest.take(SHA.replace('"s"', '"t"'))
    expect(await digest.authorization('GET', '/')).toMatch(/nonce="t".*nc=00000001/)
  })

  test('quotes what would end a value early', async () => {
    const digest = new Digest('a"b\\c', 'x', source)
    digest.take(SHA)
    expect(await digest.authorization('GET', '/')).toContain('username="a\\"b\\\\c"')
  })
})
