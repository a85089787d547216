import { pickPort } from '@hypercode/local-stack'
import { createServer } from 'node:net'
import type { Env } from './local-env.ts'
import type { ServicePorts } from './service-env.ts'
import type { Settings } from './settings.ts'
import { EXIT_USAGE, UserError } from './user-error.ts'

type PortName = 'GATEWAY_PORT' | 'REGISTRY_PORT' | 'ORCHESTRATOR_PORT'

export async function choosePorts(settings: Settings, environment: Env): Promise<ServicePorts> {
  return {
    gateway: await choosePort('GATEWAY_PORT', settings, environment),
    registry: await choosePort('REGISTRY_PORT', settings, environment),
    orchestrator: await choosePort('ORCHESTRATOR_PORT', settings, environment),
  }
}

/**
 * The port that the settings name when it is free. When it is taken: another free one, unless the person asked for this
 * one in the environment; then they are told.
 */
async function choosePort(name: PortName, settings: Settings, environment: Env): Promise<number> {
  const wanted = settings[name]
  if (wanted === 0) return await pickPort()
  if (await canListen(wanted)) return wanted
  if ((environment[name] ?? '') !== '') throw new UserError(`${name}=${wanted} is taken by another process`, EXIT_USAGE)
  return await pickPort()
}

async function canListen(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
