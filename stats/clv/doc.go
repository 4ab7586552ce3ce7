// Package clv predicts what customers will still buy and spend, from how often
// they bought, when last, and how long they have been customers.
//
// [BGNBD] and [ParetoNBD] model purchases and silent departure, [GammaGamma]
// the money per purchase, [BGBB] yes or no at a row of opportunities and
// [ShiftedBetaGeometric] contracts that end. All times are in one unit of the caller's choice. A
// [Customer] counts repeat purchases only: the first one makes the customer.
//
// Fit on blinded or pre-experiment data with one set of parameters for all
// arms: a fit per arm invents effects. Predictions rank and forecast; they do
// not decide. The models know no trend, season or promotion, and a promotion
// that moves purchases forward looks to them like better customers.
//
// Warnings and missing numbers follow package stats.
package clv
