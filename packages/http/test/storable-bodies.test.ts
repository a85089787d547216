import { describe, expect, test } from 'vitest'
import { problemOf } from './service.ts'
import { echoService, entered, send } from './echo.ts'

describe('what cannot be stored is refused at the edge', () => {
  const nest = (depth: number, open = '[', close = ']'): string =>
    `{"title":"a","any":${open.repeat(depth - 1)}${close.repeat(depth - 1)}}`

  test('64 levels pass, 65 do not', async () => {
    const service = await echoService()
    expect((await send(service, nest(64))).status).toBe(200)
    const deeper = await send(service, nest(65))
    expect(deeper.status).toBe(422)
    expect(await problemOf(deeper)).toMatchObject({
      code: 'unprocessable',
      detail: 'The body is nested more than 64 levels deep.',
    })
  })

  test('100,000 levels cost nothing', async () => {
    const service = await echoService()
    const before = process.cpuUsage()
    expect((await send(service, nest(100_000))).status).toBe(422)
    expect((await send(service, nest(20_000, '{"a":', '}').replace('}}', '1}}'))).status).toBe(422)
    expect(process.cpuUsage(before).user / 1000).toBeLessThan(300)
  })

  test('brackets inside of strings are no levels', async () => {
    const body = JSON.stringify({ title: 'a', any: `\\"${'[{'.repeat(100)}"` })
    expect((await send(await echoService(), body)).status).toBe(200)
  })

  test.each([
    ['a NUL', '{"title":"a\\u0000b"}'],
    ['a NUL in a name', '{"title":"a","any":{"x\\u0000":1}}'],
    ['a high surrogate alone', '{"title":"a\\ud800"}'],
    ['a low surrogate alone', '{"title":"a","any":["\\uDC00x"]}'],
    ['surrogates in the wrong order', '{"title":"\\udc00\\ud800"}'],
  ])('%s is 422', async (_name, body) => {
    const response = await send(await echoService(), body)
    expect(response.status).toBe(422)
    expect((await problemOf(response)).code).toBe('text_invalid')
    expect(entered).toBe(0)
  })

  test('a pair of surrogates is a character', async () => {
    const response = await send(await echoService(), '{"title":"\\ud83d\\ude00 \\\\u0000"}')
    expect(await response.json()).toMatchObject({ title: '😀 \\u0000' })
  })

  test.each(['{"title":"a","__proto__":{"x":1}}', '{"title":"a","any":[{"\\u005f_proto__":1}]}'])(
    '%s is refused',
    async (body) => {
      expect((await send(await echoService(), body)).status).toBe(400)
      expect(entered).toBe(0)
    },
  )
})
