import { createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { pickPort } from '@hypercode/local-stack'
import { choosePorts, someTaken } from '../src/free-ports.ts'
import type { Settings } from '../src/settings.ts'

async function somebodyListens(): Promise<number> {
  const server = await new Promise<Server>((resolve) => {
    const starting: Server = createServer().listen(0, '127.0.0.1', () => resolve(starting))
  })
  onTestFinished(async () => await new Promise<void>((resolve) => server.close(() => resolve())))
  return (server.address() as AddressInfo).port
}

const settingsWith = async (gateway: number): Promise<Settings> =>
  ({ GATEWAY_PORT: gateway, REGISTRY_PORT: await pickPort(), ORCHESTRATOR_PORT: await pickPort() }) as Settings

test('a port that is taken is replaced, unless the person asked for it', async () => {
  const taken = await somebodyListens()
  const settings = await settingsWith(taken)
  const ports = await choosePorts(settings, {})
  expect(ports.gateway).not.toBe(taken)
  expect(ports.registry).toBe(settings.REGISTRY_PORT)
  expect(await someTaken(ports)).toBe(false)
  expect(await someTaken({ ...ports, gateway: taken })).toBe(true)
  await expect(choosePorts(settings, { GATEWAY_PORT: String(taken) })).rejects.toThrow('is taken by another process')
})

test('after a lost race, the usual ports are not tried again', async () => {
  const settings = await settingsWith(await pickPort())
  const ports = await choosePorts(settings, { REGISTRY_PORT: String(settings.REGISTRY_PORT) }, true)
  expect(ports.gateway).not.toBe(settings.GATEWAY_PORT)
  expect(ports.registry).toBe(settings.REGISTRY_PORT)
})
