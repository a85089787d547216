import { describe, expect, test } from 'vitest'
import { bearer, problemOf } from './service.ts'
import { echoService } from './echo.ts'

describe('parameters are text, so numbers are read from it', () => {
  const get = async (path: string, headers: object = {}): Promise<Response> => {
    const { url } = await echoService()
    return await fetch(url + path, { headers: { ...(await bearer('agent:read')), ...headers } })
  }

  test('a good request arrives typed', async () => {
    const response = await get('/v1/search/open?limit=7&open=true&q=5', { 'x-depth': '2' })
    expect(await response.json()).toEqual({
      params: { kind: 'open' },
      query: { limit: 7, open: true, q: '5' },
      depth: 2,
    })
  })

  test.each([
    ['?limit=0', '/limit must be at least 1'],
    ['?limit=1.5', '/limit must be a whole number'],
    ['?limit=', '/limit must be a whole number'],
    ['?limit=1&limit=2', '/limit must be a whole number'],
    ['?open=yes', '/open must be true or false'],
    ['?tenant=x', '/tenant "tenant" is not a property that is known here'],
    ['?__proto__=x', '/__proto__ "__proto__" is not a property that is known here'],
  ])('%s is a fault', async (query, fault) => {
    const response = await get(`/v1/search/open${query}`)
    expect(response.status).toBe(400)
    const { faults, detail } = await problemOf(response)
    expect(faults?.map(({ pointer, message }) => `${pointer} ${message}`)).toEqual([fault])
    expect(detail).toContain('query string')
  })

  test('a bad path parameter is a fault of the path', async () => {
    expect((await problemOf(await get('/v1/search/OPEN'))).detail).toBe(
      'The path has a fault; /kind must match ^[a-z]+$.',
    )
  })

  test('a NUL in the query is refused', async () => {
    const response = await get('/v1/search/open?q=a%00b')
    expect(response.status).toBe(422)
    expect((await problemOf(response)).code).toBe('text_invalid')
  })
})
