// A certified OpenID provider with one program and whoever signs in, for tests.
import { generateKeyPairSync } from "node:crypto";
import Provider from "oidc-provider";

const { ISSUER, RESOURCE, CLIENT_SECRET } = process.env;
const SCOPES = "mcpbox:author mcpbox:call";

const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const key = { ...privateKey.export({ format: "jwk" }), alg: "ES256", use: "sig", kid: "first" };

const provider = new Provider(ISSUER, {
  jwks: { keys: [key] },
  cookies: { keys: ["not-a-secret"] },
  scopes: ["openid", "offline_access", ...SCOPES.split(" ")],
  clients: [
    {
      client_id: "nightly-job",
      client_secret: CLIENT_SECRET,
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
    },
  ],
  clientDefaults: { id_token_signed_response_alg: "ES256" },
  enabledJWA: { idTokenSigningAlgValues: ["ES256"] },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  extraTokenClaims: (_, token) =>
    token.accountId ? { email: `${token.accountId}@example.org`, email_verified: true } : {},
  features: {
    clientCredentials: { enabled: true },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, audience) => ({
        audience,
        scope: SCOPES,
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: "ES256" } },
      }),
      defaultResource: () => RESOURCE,
      useGrantedResource: () => true,
    },
  },
});

provider.listen(Number(new URL(ISSUER).port), "127.0.0.1", () => console.log("ready"));
