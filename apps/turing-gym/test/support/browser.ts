import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { chromium } from 'playwright-core'
import type { BrowserContext, Page } from 'playwright-core'
import { renderReport } from '../../src/report/index.ts'
import type { ReportInput } from '../../src/report/index.ts'

/** The browser of this machine; undefined when it has none. */
export const browserPath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((file) =>
  existsSync(file),
)

export interface Browser {
  /** Opens the page of a run as the gym serves it, with its headers. */
  open(input: ReportInput, width: number): Promise<OpenPage>
  close(): Promise<void>
}

export interface OpenPage {
  readonly page: Page
  /** What the page said on its console, threw, showed as a dialog, or asked its server for. */
  readonly complaints: readonly string[]
}

const FLAGS = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** One browser with a profile of its own; nothing of the machine's is read, and nothing stays. */
export async function openBrowser(executablePath: string): Promise<Browser> {
  const profile = mkdtempSync(path.join(tmpdir(), 'gym-browser-'))
  const closers: (() => Promise<unknown> | void)[] = [() => rmSync(profile, { recursive: true, force: true })]
  const close = async (): Promise<void> => {
    for (const one of closers.splice(0).toReversed()) await one()
  }
  try {
    const context = await chromium.launchPersistentContext(profile, {
      executablePath,
      headless: true,
      chromiumSandbox: false,
      args: FLAGS,
    })
    closers.push(async () => await context.close())
    return {
      close,
      async open(input, width) {
        const served = await serve(input)
        closers.push(served.close)
        return await show(context, served, width)
      },
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function show(
  context: BrowserContext,
  { url, complaints }: { url: string; complaints: string[] },
  width: number,
): Promise<OpenPage> {
  const page = await context.newPage()
  page.on('console', (message) => complaints.push(`console: ${message.text()}`))
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`))
  page.on('dialog', (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`)
    dialog.dismiss().catch((error: unknown) => complaints.push(`dialog: ${String(error)}`))
  })
  await page.setViewportSize({ width, height: 900 })
  await page.goto(url, { waitUntil: 'load' })
  return { page, complaints }
}

async function serve(input: ReportInput): Promise<{ url: string; complaints: string[]; close: () => void }> {
  const complaints: string[] = []
  const { body, contentType, contentSecurityPolicy = '' } = renderReport(input, 'html')
  const server = createServer((request, response) => {
    if (request.url !== '/') complaints.push(`request: ${request.url}`)
    response.writeHead(200, { 'content-type': contentType, 'content-security-policy': contentSecurityPolicy }).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/`,
    complaints,
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
