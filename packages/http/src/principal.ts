/** Who calls, as the access token says. */
export interface Principal {
  /** Client id, or `client id/instance`. */
  readonly subject: string
  readonly clientId: string
  readonly tenantId: string
  readonly scopes: ReadonlySet<string>
  readonly tokenId: string
}
