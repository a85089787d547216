/** What the tables of authentication have in common. */
import { auditKind } from './support/repository.ts'
import type { Files } from './support/repository.ts'

export interface Row {
  readonly name: string
  readonly files: Files
  /** `priority confidence METHOD /path file:line` */
  readonly found: readonly string[]
}

/** The first line of an application of FastAPI: the import of everything. */
export const IMPORTS = 'from fastapi import APIRouter, Depends, FastAPI, HTTPException, Security\n'

/** Guards of a FastAPI application, for other files to import. */
export const AUTH_MODULE = `
from fastapi import Depends, HTTPException
from fastapi.security import OAuth2PasswordBearer
from typing import Annotated
scheme = OAuth2PasswordBearer(tokenUrl="token")
async def subject(token: str = Depends(scheme)):
    return token
async def get_db():
    yield session()
def needs(*wanted):
    def inner(token: str = Depends(scheme)):
        return token
    return inner
Caller = Annotated[str, Depends(subject)]
`

/** The routes that nobody guards, as the audit tells of them. */
export async function openRoutes(files: Files): Promise<string[]> {
  const { findings } = await auditKind('authentication', files)
  return findings.map(({ priority, confidence, title, file, line }) => {
    const where = title.replace(/ (has no authentication|accepts anybody|does not check who calls it)$/, '')
    return `${priority} ${confidence} ${where} ${file}:${line}`
  })
}
