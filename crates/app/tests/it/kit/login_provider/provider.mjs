// The OpenID provider of panva on a free port, in which everybody is alice and agrees to
// everything. Takes the directory of its package and the redirect URI of its client; prints its
// address when it listens.

import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [packages, redirect] = process.argv.slice(2);
const found = createRequire(`${packages}/package.json`).resolve('oidc-provider');
const { Provider } = await import(pathToFileURL(found).href);

const configuration = {
  clients: [{
    client_id: 'keysherd',
    client_secret: 'client-secret-canary-4711',
    redirect_uris: [redirect],
    grant_types: ['authorization_code'],
    response_types: ['code'],
  }],
  pkce: { required: () => true },
  claims: { openid: ['sub'], email: ['email'], groups: ['groups'] },
  scopes: ['openid', 'profile', 'email', 'groups'],
  conformIdTokenClaims: false,
  features: { devInteractions: { enabled: false } },
  cookies: { keys: ['of no use elsewhere'] },
  interactions: { url: (_, interaction) => `/sign-in/${interaction.uid}` },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@example.com`, groups: ['dev', 'ops'] }),
  }),
};

const signIn = async (provider, request, response) => {
  const { params, session, prompt } = await provider.interactionDetails(request, response);
  const accountId = session?.accountId ?? 'alice';
  const result = { login: { accountId } };
  if (prompt.name === 'consent') {
    const grant = new provider.Grant({ accountId, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    result.consent = { grantId: await grant.save() };
  }
  await provider.interactionFinished(request, response, result);
};

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, configuration);
  const serve = provider.callback();
  server.on('request', (request, response) => (request.url.startsWith('/sign-in/')
    ? signIn(provider, request, response)
    : serve(request, response)));
  console.log(`issuer ${issuer}`);
});
