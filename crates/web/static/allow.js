// The page that asks whether an app may reach a printer: guards Allow.

import { guard } from "./guard.js";

guard(document.querySelector('#allow'));
