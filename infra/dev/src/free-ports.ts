import { pickPort } from '@hypercode/local-stack'
import { createServer } from 'node:net'
import type { Env } from './local-env.ts'
import { SERVICE_KEYS, portVariable } from './service-env.ts'
import type { ServiceKey, ServicePorts } from './service-env.ts'
import type { Settings } from './settings.ts'
import { EXIT_USAGE, UserError } from './user-error.ts'

type PortName = ReturnType<typeof portVariable>

/** With `anywhere`, only what the person asked for in the environment is kept to. */
export async function choosePorts(settings: Settings, environment: Env, anywhere = false): Promise<ServicePorts> {
  const chosen: [ServiceKey, number][] = []
  for (const key of SERVICE_KEYS)
    chosen.push([key, await choosePort(portVariable(key), settings, environment, anywhere)])
  return Object.fromEntries(chosen) as ServicePorts
}

/** Whether somebody listens on one of them; asked when nothing of ours does. */
export async function someTaken(ports: ServicePorts): Promise<boolean> {
  for (const port of Object.values(ports)) {
    if (!(await canListen(port))) return true
  }
  return false
}

/**
 * The port that the settings name when it is free. When it is taken: another free one, unless the person asked for this
 * one in the environment; then they are told.
 */
async function choosePort(name: PortName, settings: Settings, environment: Env, anywhere: boolean): Promise<number> {
  const wanted = settings[name]
  const isAsked = (environment[name] ?? '') !== ''
  if (wanted === 0 || (anywhere && !isAsked)) return await pickPort()
  if (await canListen(wanted)) return wanted
  if (isAsked) throw new UserError(`${name}=${wanted} is taken by another process`, EXIT_USAGE)
  return await pickPort()
}

async function canListen(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
