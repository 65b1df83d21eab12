// A real OpenID provider for test_identity.py: anybody logs in by naming themselves.
// Usage: node oidc_provider.mjs PORT REDIRECT_URI, from a folder in which oidc-provider is installed.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(`${process.cwd()}/`);
const { Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));
const [port, redirect] = process.argv.slice(2);
const groups = { olga: ['radiology', 'staff'], oscar: [] };

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    { client_id: 'gantry', client_secret: 'a secret: of + the test', redirect_uris: [redirect] },
    { client_id: 'robot', client_secret: 'robot', redirect_uris: [], response_types: [], grant_types: ['client_credentials'] },
  ],
  claims: { openid: ['sub'], profile: ['name', 'preferred_username', 'groups'], email: ['email'] },
  cookies: { keys: ['test'] },
  pkce: { required: () => true },
  findAccount: async (_, id) => ({
    accountId: id,
    claims: async () => ({ sub: `id-${id}`, preferred_username: id, name: `Person ${id}`, email: `${id}@example.org`, groups: groups[id] ?? [] }),
  }),
  features: {
    devInteractions: { enabled: true },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: async (_, resource) => ({ audience: resource, accessTokenFormat: 'jwt', scope: 'api' }),
    },
  },
});
provider.listen(Number(port), '127.0.0.1', () => console.log('listening'));
