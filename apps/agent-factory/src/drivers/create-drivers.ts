import type { DriverName } from '@hypercode/contracts'
import type { DriversConfig } from './config.ts'
import type { Driver } from './driver.ts'

/** The drivers that are configured. The clients of engines and clusters are loaded only for them. */
export async function createDrivers(config: DriversConfig): Promise<ReadonlyMap<DriverName, Driver>> {
  const drivers: Driver[] = []
  if (config.process !== undefined) {
    const { createProcessDriver } = await import('./process/process-driver.ts')
    drivers.push(createProcessDriver(config.process))
  }
  if (config.docker !== undefined) {
    const { createDockerDriver } = await import('./docker/docker-driver.ts')
    drivers.push(createDockerDriver(config.docker, config.installation))
  }
  if (config.kubernetes !== undefined) {
    const { createKubernetesDriver } = await import('./kubernetes/kubernetes-driver.ts')
    drivers.push(createKubernetesDriver(config.kubernetes, config.installation))
  }
  return new Map(drivers.map((driver) => [driver.name, driver]))
}
