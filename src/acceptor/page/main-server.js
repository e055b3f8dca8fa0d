// The page of a server.

import { serverBackend } from "./server.js";
import { start } from "./page.js";

start(serverBackend());
