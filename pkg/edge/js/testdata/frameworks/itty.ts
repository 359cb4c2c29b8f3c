import { AutoRouter, cors, error, json, StatusError } from 'itty-router';

const { preflight, corsify } = cors();
const router = AutoRouter({ before: [preflight], finally: [corsify] });

router
  .get('/', () => 'hello')
  .get('/greet/:name', ({ name, query }) => ({ name, q: query.q }))
  .post('/echo', async (request) => json(await request.json(), { status: 201 }))
  .get('/fail', () => {
    throw new StatusError(418, 'teapot');
  })
  .get('/broken', () => error(400, 'bad'));

export default { ...router };
