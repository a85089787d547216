import { openDatabase } from '@hypercode/db'
import type { DatabaseOptions, Db } from '@hypercode/db'
import { createFaultProxy } from './fault-proxy.ts'
import type { FaultProxy } from './fault-proxy.ts'

/** A database as a service sees it through a proxy, which `use` makes fail; both are closed behind it. It gives up soon: nobody waits for it. */
export async function throughProxy(
  url: string,
  options: Pick<DatabaseOptions, 'poolMax'> & Partial<DatabaseOptions>,
  use: (db: Db, proxy: FaultProxy) => Promise<void>,
): Promise<void> {
  const proxy = await createFaultProxy(url)
  const handle = openDatabase({
    url: proxy.through(url),
    applicationName: 'through-proxy',
    onIdleError: () => undefined,
    connectTimeoutMs: 300,
    queryTimeoutMs: 1000,
    ...options,
  })
  try {
    await use(handle.db, proxy)
  } finally {
    await handle.close()
    await proxy.stop()
  }
}
